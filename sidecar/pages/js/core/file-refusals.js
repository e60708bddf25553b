/* Why a file is not taken, in codes that the pages have words for: before it is sent, and after the server's word. */

const ALLOWED_NAME = /\.(?:jpe?g|png|gif|webp|hei[cf]|pdf|docx|xlsx|pptx|odt|ods|odp|mp3|m4a|ogg|opus|mp4|mov|3gp|txt|csv)$/i;

/** What can be told of a file by looking at it; nothing where it may be sent. */
export function wrongWith({ size }, mostBytes) {
  if (!size) return "empty_file";
  return size > mostBytes ? "too_large" : undefined;
}

/** The server goes by the content: a kind that is allowed by its name is another one, or broken. */
export const refusedAs = (code, { name }) => (code === "unsupported_media_type" && ALLOWED_NAME.test(name) ? "not_as_named" : code);
