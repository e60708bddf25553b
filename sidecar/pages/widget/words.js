/* What only the widget says. */

import { addWords } from "../js/words/tongue.js";

addWords({
  en: {
    greeting: "Hi! How can we help?",
    open: "Open the chat",
    close: "Close the chat",
    unread: "{n} unread",
    notProved: "We could not confirm who you are. Please sign in again.",
    endShort: "End chat",
  },
  id: {
    greeting: "Halo! Ada yang bisa kami bantu?",
    open: "Buka percakapan",
    close: "Tutup percakapan",
    unread: "{n} belum dibaca",
    notProved: "Identitas Anda belum bisa dipastikan. Silakan masuk kembali.",
    endShort: "Akhiri",
  },
});
