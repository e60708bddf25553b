// All words of the page in two languages: before it nothing, after it every other module.

const ENGLISH = {
  skip: "Skip to the line", title: "Desk simulator", subtitle: "Stands in for Qiscus Omnichannel Chat",
  live: "Live", connecting: "Connecting…", lost: "Reconnecting…", app: "App", language: "Language", reset: "Reset",
  overview: "Overview and actions", actions: "Actions", waiting: "Waiting", inChat: "In a chat", resolvedN: "Resolved",
  online: "Agents online", addCustomers: "Add customers", addOne: "Add a customer", addTen: "Add 10 customers",
  addHundred: "Add 100 customers", returns: "A past customer returns", resolveOne: "Resolve one",
  resolveAll: "Resolve all", line: "Waiting line", emptyLine: "Nobody waits",
  emptyLineHint: "Add a customer, and see who takes the chat.", agents: "Agents", side: "Activity and faults",
  activity: "Activity", faults: "Faults", show: "Show", all: "All", chats: "Chats", webhooks: "Webhooks",
  trouble: "Trouble", emptyActivity: "All quiet",
  emptyActivityHint: "Assigns, resolves and webhooks show here as they happen.", close: "Close",
  writesAgain: "The customer writes again", resolveAs: "Resolve as", byAgent: "Agent", byAdmin: "Admin",
  bySupervisor: "Supervisor", byHand: "Assign by hand, as a supervisor", agent: "Agent", assign: "Assign",
  replace: "Replace whoever is in the chat", byHandHint: "No limit is checked, as at the real desk.",
  inside: "In the chat", remove: "Take out", resetSure: "Start over? All rooms, chats and switches are cleared here.",
  keep: "Keep", resetYes: "Start over",
  more: "and {n} more", room: "Room {room}", channel: "Channel {source}", back: "returning", messages: "{n} messages",
  resolve: "Resolve", resolveChat: "Resolve the chat with {name}", moreOf: "More for {name}",
  chat0: "No chat", chat1: "1 chat", chatN: "{n} chats", most: "most at once: {n}", told: "the desk tells {n}",
  divisionsOf: "Divisions of {name}", botSaid: "Bot: {text}", saidByBot: "Said by the bot",
  isOnline: "Online", isOffline: "Offline", presenceOf: "{name} is online",
  isDeleted: "Deleted", treatOf: "When {name} is assigned", treat_takes: "Takes chats", treat_400: "Refused: 400",
  treat_403: "Refused: 403", treat_404: "Refused: 404", treat_422: "Refused: 422", treat_deleted: "Deleted", only: "only {channels}",
  supervisor: "Supervisor: {names}",
  resolvedSome: "{n} chats resolved", nobodyBack: "Nobody was resolved yet",
  noChats: "There is no chat to resolve", failed: "That did not work: {why}", summary: "{w} waiting, {c} in a chat",
  e_arrived: "{name} waits", e_arrivedBack: "{name} is back and waits", e_message: "{name} wrote again",
  e_assigned: "{agent} took {name}", e_byHand: "{name} given to {agent} by hand", e_removed: "{agent} left {name}",
  e_resolved: "{name} resolved by {by}", e_deleted: "{agent} was deleted", e_hired: "{agent} was hired again", e_online: "{agent} came online", e_offline: "{agent} went offline",
  e_said: "The bot to {name}", e_division: "Division {name} has {n} people", e_divisionGone: "Division {name} was deleted",
  e_caa: "Allocation webhook: {name}", e_resolvedHook: "Resolved webhook: {name}",
  e_call: "Assign of {room} failed", e_fault: "Fault on {endpoint}", e_faultRoom: "Fault on {endpoint} of {room}",
  e_reset: "Started over", after: "after {s}", dropped: "dropped", refused: "nobody listens", timeout: "no answer in 5 s",
  broken: "broken connection", queued: "queued", already_waiting: "already waiting", already_assigned: "already assigned",
  noted: "noted", place: "place {n}",
  presets: "Presets", set_calm: "All well", set_twice: "Everything twice", set_slow: "Slow desk", set_storm: "Storm",
  g_api: "Answers of the API", g_hooks: "Webhooks", g_desk: "Habits of the desk", g_chats: "Chats",
  latency_ms: "Latency", jitter_ms: "Jitter on top", fail_p: "Calls that fail", fail_kinds: "How they fail",
  fail_where: "Which calls", where_all: "All", where_assign: "Assign only", where_roster: "Roster only",
  hang_assign_p: "Assigns that hang", hang_assign_from_s: "hang at least", hang_assign_to_s: "hang at most",
  resolved_delay_s: "Resolves come late by", unknown_refused: "Unknown rooms are 404",
  hang_s: "A timeout hangs", webhook_twice: "Deliver each twice", webhook_drop_p: "Lost webhooks",
  webhook_delay_s: "Delay", webhook_jitter_s: "Reorder within", webhook_retries: "Retries", count_lag_s: "Chat count is late by",
  room_lag_s: "Room state is late by", list_lag_s: "Waiting list is late by", listed_without_counts: "Agent list without counts", nested_meta: "Page numbers within data", stale_rows: "Stale rows in the list",
  hide_offline: "Roster hides offline agents", bare_array: "Roster as a bare array", legacy_assign: "Old answer to assign",
  null_candidate: "No candidate in webhooks", null_latest_service: "No latest service in webhooks",
  k_500: "500", k_500_after: "500, yet applied", k_502_html: "502 HTML page", k_200_html: "200 HTML page", k_429: "429",
  k_429_retry_after: "429 Retry-After", k_timeout_before: "Timeout", k_timeout_after: "Timeout, yet applied",
  k_reset_before: "Cut connection", k_reset_after: "Cut, yet applied", k_401: "401 key rotated", k_403: "403",
  p_roster: "agent list", p_assign: "assign", p_allocate: "allocate", p_allocate_assign: "allocate and assign",
  p_room: "room", p_rooms: "room list", p_resolve: "resolve", p_remove: "remove agent", p_agents: "agents",
  p_agents_by_ids: "agents by ids", p_divisions: "divisions", p_division: "a division's agents", p_bot: "bot message", p_office_hours: "office hours", p_other: "another call",
  c_qiscus: "Widget", c_wa: "WhatsApp", c_telegram: "Telegram",
  auto_resolve_s: "A chat ends after", auto_resolve_jitter_s: "plus up to", u_ms: "ms", u_s: "s", u_pct: "%", u_x: "×",
};

const INDONESIAN = {
  skip: "Langsung ke antrean", title: "Simulator layanan", subtitle: "Menggantikan Qiscus Omnichannel Chat",
  live: "Tersambung", connecting: "Menyambung…", lost: "Menyambung lagi…", app: "Aplikasi", language: "Bahasa",
  reset: "Ulang", overview: "Ringkasan dan tindakan", actions: "Tindakan", waiting: "Menunggu", inChat: "Dilayani",
  resolvedN: "Selesai", online: "Agen aktif", addCustomers: "Tambah pelanggan", addOne: "Tambah pelanggan",
  addTen: "Tambah 10 pelanggan", addHundred: "Tambah 100 pelanggan", returns: "Pelanggan lama kembali",
  resolveOne: "Selesaikan satu", resolveAll: "Selesaikan semua", line: "Antrean", emptyLine: "Tidak ada yang menunggu",
  emptyLineHint: "Tambah pelanggan, lalu lihat siapa yang melayani.", agents: "Agen", side: "Kejadian dan gangguan",
  activity: "Kejadian", faults: "Gangguan", show: "Tampilkan", all: "Semua", chats: "Obrolan", webhooks: "Webhook",
  trouble: "Masalah", emptyActivity: "Masih sepi",
  emptyActivityHint: "Penugasan, penyelesaian, dan webhook tampil di sini saat terjadi.", close: "Tutup",
  writesAgain: "Pelanggan menulis lagi", resolveAs: "Selesaikan sebagai", byAgent: "Agen", byAdmin: "Admin",
  bySupervisor: "Supervisor", byHand: "Tugaskan langsung, sebagai supervisor", agent: "Agen", assign: "Tugaskan",
  replace: "Gantikan agen yang sedang melayani", byHandHint: "Batas tidak diperiksa, sama seperti layanan aslinya.",
  inside: "Yang melayani", remove: "Keluarkan", resetSure: "Mulai dari awal? Semua ruang, obrolan, dan pengaturan di sini dihapus.",
  keep: "Batal", resetYes: "Mulai dari awal",
  more: "dan {n} lagi", room: "Ruang {room}", channel: "Kanal {source}", back: "kembali", messages: "{n} pesan",
  resolve: "Selesai", resolveChat: "Selesaikan obrolan dengan {name}", moreOf: "Pilihan lain untuk {name}",
  chat0: "Tanpa obrolan", chat1: "1 obrolan", chatN: "{n} obrolan", most: "terbanyak sekaligus: {n}",
  told: "menurut layanan {n}", divisionsOf: "Divisi {name}", botSaid: "Bot: {text}", saidByBot: "Pesan bot",
  isOnline: "Aktif", isOffline: "Tidak aktif", isDeleted: "Dihapus", treatOf: "Saat {name} ditugaskan", treat_takes: "Menerima obrolan", treat_400: "Ditolak: 400",
  treat_403: "Ditolak: 403", treat_404: "Ditolak: 404", treat_422: "Ditolak: 422", treat_deleted: "Dihapus",
  presenceOf: "{name} aktif",
  only: "hanya {channels}", supervisor: "Supervisor: {names}",
  resolvedSome: "{n} obrolan diselesaikan",
  nobodyBack: "Belum ada pelanggan yang selesai", noChats: "Tidak ada obrolan untuk diselesaikan",
  failed: "Tidak berhasil: {why}", summary: "{w} menunggu, {c} dilayani",
  e_arrived: "{name} menunggu", e_arrivedBack: "{name} kembali dan menunggu", e_message: "{name} menulis lagi",
  e_assigned: "{agent} melayani {name}", e_byHand: "{name} diberikan langsung ke {agent}", e_removed: "{agent} keluar dari {name}",
  e_resolved: "{name} diselesaikan oleh {by}", e_deleted: "{agent} dihapus", e_hired: "{agent} kembali bekerja",
  e_online: "{agent} aktif", e_offline: "{agent} tidak aktif",
  e_said: "Pesan bot untuk {name}", e_division: "Divisi {name} kini {n} orang", e_divisionGone: "Divisi {name} dihapus",
  e_caa: "Webhook alokasi: {name}", e_resolvedHook: "Webhook selesai: {name}",
  e_call: "Penugasan {room} gagal", e_fault: "Gangguan pada {endpoint}", e_faultRoom: "Gangguan pada {endpoint} untuk {room}",
  e_reset: "Mulai dari awal", after: "setelah {s}", dropped: "hilang", refused: "tidak ada penerima",
  timeout: "tanpa jawaban 5 dtk", broken: "koneksi putus", queued: "masuk antrean", already_waiting: "sudah menunggu",
  already_assigned: "sudah dilayani", noted: "dicatat", place: "urutan {n}",
  presets: "Pilihan cepat", set_calm: "Semua lancar", set_twice: "Semuanya ganda", set_slow: "Layanan lambat", set_storm: "Badai",
  g_api: "Jawaban API", g_hooks: "Webhook", g_desk: "Kebiasaan layanan", g_chats: "Obrolan",
  latency_ms: "Jeda jawaban", jitter_ms: "Jeda acak tambahan", fail_p: "Panggilan yang gagal", fail_kinds: "Cara gagalnya",
  fail_where: "Panggilan mana", where_all: "Semua", where_assign: "Hanya penugasan", where_roster: "Hanya daftar agen",
  hang_assign_p: "Penugasan yang menggantung", hang_assign_from_s: "menggantung paling sedikit",
  hang_assign_to_s: "menggantung paling lama", resolved_delay_s: "Penyelesaian terlambat",
  unknown_refused: "Ruang tak dikenal dijawab 404", hang_s: "Lama menggantung", webhook_twice: "Kirim masing-masing dua kali", webhook_drop_p: "Webhook yang hilang",
  webhook_delay_s: "Tertunda", webhook_jitter_s: "Urutan acak dalam", webhook_retries: "Kirim ulang",
  count_lag_s: "Jumlah obrolan terlambat", room_lag_s: "Keadaan ruang terlambat", list_lag_s: "Daftar tunggu terlambat", listed_without_counts: "Daftar agen tanpa jumlah obrolan", nested_meta: "Nomor halaman di dalam data",
  stale_rows: "Baris usang dalam daftar", hide_offline: "Agen tidak aktif disembunyikan", bare_array: "Daftar agen tanpa bungkus",
  legacy_assign: "Jawaban penugasan lama", null_candidate: "Webhook tanpa kandidat", null_latest_service: "Webhook tanpa layanan terakhir",
  k_500: "500", k_500_after: "500, tetap berlaku", k_502_html: "502 halaman HTML", k_200_html: "200 halaman HTML", k_429: "429",
  k_429_retry_after: "429 Retry-After", k_timeout_before: "Tanpa jawaban", k_timeout_after: "Tanpa jawaban, tetap berlaku",
  k_reset_before: "Koneksi putus", k_reset_after: "Putus, tetap berlaku", k_401: "401 kunci diganti", k_403: "403",
  p_roster: "daftar agen", p_assign: "penugasan", p_allocate: "saran agen", p_allocate_assign: "saran dan penugasan",
  p_room: "ruang", p_rooms: "daftar ruang", p_resolve: "penyelesaian", p_remove: "keluarkan agen", p_agents: "agen",
  p_agents_by_ids: "agen menurut ID", p_divisions: "daftar divisi", p_division: "anggota divisi", p_bot: "pesan bot", p_office_hours: "jam kerja", p_other: "panggilan lain",
  c_qiscus: "Widget", c_wa: "WhatsApp", c_telegram: "Telegram",
  auto_resolve_s: "Obrolan selesai setelah", auto_resolve_jitter_s: "ditambah paling lama", u_ms: "md", u_s: "dtk", u_pct: "%", u_x: "×",
};

const WORDS = { en: ENGLISH, id: INDONESIAN };
const KEPT = "simulator-language";

let language = remembered() ?? (/^(id|in|ind)([-_]|$)/i.test(navigator.language) ? "id" : "en");

export const currentLanguage = () => language;

export function t(key, facts = {}) {
  const text = WORDS[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => facts[name] ?? "");
}

export const known = (key) => key in ENGLISH;

/** The word of a key that may have none: then the server's own. */
export const wordOr = (prefix, name) => (known(`${prefix}_${name}`) ? t(`${prefix}_${name}`) : String(name));

export const number = (n) => n.toLocaleString(language);

export const clock = (unixSeconds) =>
  new Date(unixSeconds * 1000).toLocaleTimeString(language, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const unit = language === "id" ? { s: "dtk", m: "mnt", h: "jam" } : { s: "s", m: "min", h: "h" };
  if (whole < 60) return `${whole} ${unit.s}`;
  if (whole < 3600) return `${Math.floor(whole / 60)} ${unit.m} ${whole % 60} ${unit.s}`;
  return `${Math.floor(whole / 3600)} ${unit.h} ${Math.floor((whole % 3600) / 60)} ${unit.m}`;
}

export function speak(wanted) {
  language = wanted;
  try {
    localStorage.setItem(KEPT, wanted);
  } catch (error) {
    console.info("the language is not kept", error.name); // storage may be forbidden: the page works without
  }
  translate(document);
}

/** Puts the words of the language into everything marked with data-t (text) and data-t-label (its name for a reader). */
export function translate(root) {
  document.documentElement.lang = language;
  document.title = t("title");
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const node of root.querySelectorAll("[data-t-label]")) node.setAttribute("aria-label", t(node.dataset.tLabel));
  for (const node of root.querySelectorAll("[data-language]"))
    node.setAttribute("aria-pressed", String(node.dataset.language === language));
}

function remembered() {
  try {
    const kept = localStorage.getItem(KEPT);
    return kept in WORDS ? kept : undefined;
  } catch {
    return undefined; // storage may be forbidden
  }
}
