"""The words, numbers and times of a report's page, in English and Indonesian. Pure; before `page`."""

from collections.abc import Mapping
from datetime import date, datetime
from zoneinfo import ZoneInfo

from routing.messages import MONTHS
from views.reports.period import DAY, WEEK, Period

ENGLISH = {
    "title": "Service report",
    "day": "Day",
    "week": "Week",
    "month": "Month",
    "arrived": "Arrived",
    "served": "Served",
    "resolved": "Ended",
    "abandoned": "Gave up",
    "level": "Served in time",
    "in_time": "within {target}",
    "wait": "Wait",
    "median": "Median",
    "wait_median": "Median wait",
    "p95": "95 % below",
    "longest": "Longest",
    "p95_note": "95 % below {p95}, longest {longest}",
    "of_arrived": "{share} of those who arrived",
    "rating": "Rating",
    "of_five": "of 5; ratings: {n}",
    "no_ratings": "not known at this desk",
    "nobody_rated": "no customer rated",
    "by_day": "By day",
    "by_hour": "By hour of the day",
    "by_queue": "By queue",
    "by_agent": "By agent",
    "flow": "Customers",
    "waits": "How long customers waited",
    "levels": "Share served in time",
    "hour": "Hour",
    "queue": "Queue",
    "agent": "Agent",
    "chats": "Chats",
    "ended": "Ended",
    "handling": "Median length",
    "handling_all": "All together",
    "ratings": "Ratings",
    "stars": "Stars",
    "customers": "Customers",
    "share": "Share",
    "by_stars": "What customers thought",
    "decisions": "Decisions",
    "policy": "Policy",
    "seats": "Seats given",
    "no_decisions": "No decision gave a seat.",
    "drift": "Drift that was healed",
    "drift_note": "Differences from the desk that Giliran found and repaired. The ledger keeps sums, not days.",
    "kind": "Kind",
    "here": "In this period",
    "ever": "Since the start",
    "last": "Last",
    "no_drift": "None since the start.",
    "drift_missed_arrival": "webhook of a new room missed",
    "drift_missed_resolve": "webhook of a resolve missed",
    "drift_unknown_room": "room that the desk does not know",
    "drift_agent_left": "agent left the room",
    "drift_assigned_by_hand": "assigned by hand",
    "drift_reassigned_by_hand": "given to another agent by hand",
    "drift_cache": "cache in Redis was wrong",
    "unknown": "not known",
    "nothing": "Nothing happened.",
    "nobody": "nobody known",
    "channel": "channel {channel}",
    "no_channel": "no channel",
    "zone_asked": "Days are those of {zone}, as asked.",
    "zone_hours": "Days are those of {zone}, the zone of the office hours.",
    "zone_none": "Days are those of {zone}: no office hours are set.",
    "begins": "Data begins on {at}. What was before is not counted, and shown as not known.",
    "stopped": "No worker has run since {at}. What came after is not known.",
    "not_over": "Not over yet: counted until {at}.",
    "ratings_since": "Ratings are known since {at}.",
    "made": "Made by Giliran on {at}",
    "meaning": "Served: assigned to an agent. Served in time: the share of those served who waited {target} or less."
    " Gave up: over before an agent had them. Median: half waited less. A visit counts in the hour in which it"
    " happened, and in the queue where it was last.",
    "at_peak": "{title}: the most at {name}, {value}",
    "at_least": "{title}: the least at {name}, {value}",
}
INDONESIAN = {
    "title": "Laporan layanan",
    "day": "Hari",
    "week": "Minggu",
    "month": "Bulan",
    "arrived": "Datang",
    "served": "Dilayani",
    "resolved": "Selesai",
    "abandoned": "Pergi",
    "level": "Dilayani tepat waktu",
    "in_time": "dalam {target}",
    "wait": "Tunggu",
    "median": "Median",
    "wait_median": "Median tunggu",
    "p95": "95 % di bawah",
    "longest": "Terlama",
    "p95_note": "95 % di bawah {p95}, terlama {longest}",
    "of_arrived": "{share} dari yang datang",
    "rating": "Penilaian",
    "of_five": "dari 5; penilaian: {n}",
    "no_ratings": "tidak diketahui di desk ini",
    "nobody_rated": "belum ada penilaian",
    "by_day": "Per hari",
    "by_hour": "Per jam dalam sehari",
    "by_queue": "Per antrean",
    "by_agent": "Per agen",
    "flow": "Pelanggan",
    "waits": "Berapa lama pelanggan menunggu",
    "levels": "Persentase dilayani tepat waktu",
    "hour": "Jam",
    "queue": "Antrean",
    "agent": "Agen",
    "chats": "Chat",
    "ended": "Selesai",
    "handling": "Lama (median)",
    "handling_all": "Seluruhnya",
    "ratings": "Penilaian",
    "stars": "Bintang",
    "customers": "Pelanggan",
    "share": "Persentase",
    "by_stars": "Penilaian pelanggan",
    "decisions": "Keputusan",
    "policy": "Kebijakan",
    "seats": "Kursi diberikan",
    "no_decisions": "Tidak ada keputusan yang memberi kursi.",
    "drift": "Selisih yang diperbaiki",
    "drift_note": "Perbedaan dengan desk yang ditemukan dan diperbaiki Giliran. Yang disimpan jumlahnya, bukan hari.",
    "kind": "Jenis",
    "here": "Pada periode ini",
    "ever": "Sejak awal",
    "last": "Terakhir",
    "no_drift": "Belum pernah ada.",
    "drift_missed_arrival": "webhook ruang baru terlewat",
    "drift_missed_resolve": "webhook selesai terlewat",
    "drift_unknown_room": "ruang tidak dikenal desk",
    "drift_agent_left": "agen keluar dari ruang",
    "drift_assigned_by_hand": "diberikan manual",
    "drift_reassigned_by_hand": "dialihkan manual ke agen lain",
    "drift_cache": "cache di Redis keliru",
    "unknown": "tidak diketahui",
    "nothing": "Tidak ada kejadian.",
    "nobody": "tidak dikenal",
    "channel": "kanal {channel}",
    "no_channel": "tanpa kanal",
    "zone_asked": "Hari menurut {zone}, sesuai permintaan.",
    "zone_hours": "Hari menurut {zone}, zona waktu jam buka.",
    "zone_none": "Hari menurut {zone}: jam buka belum diatur.",
    "begins": "Data dimulai {at}. Yang sebelumnya tidak dihitung, dan ditulis tidak diketahui.",
    "stopped": "Tidak ada worker yang berjalan sejak {at}. Yang sesudahnya tidak diketahui.",
    "not_over": "Belum selesai: dihitung sampai {at}.",
    "ratings_since": "Penilaian diketahui sejak {at}.",
    "made": "Dibuat oleh Giliran pada {at}",
    "meaning": "Dilayani: diberikan kepada agen. Tepat waktu: persentase dari yang dilayani yang menunggu paling lama"
    " {target}. Pergi: selesai sebelum ada agen. Median: separuh menunggu kurang dari itu. Setiap kunjungan dihitung"
    " pada jam kejadiannya, dan di antrean terakhirnya.",
    "at_peak": "{title}: tertinggi pada {name}, {value}",
    "at_least": "{title}: terendah pada {name}, {value}",
}
WORDS: Mapping[str, Mapping[str, str]] = {"en": ENGLISH, "id": INDONESIAN}
UNITS = {"en": ("s", "min", "h", "d"), "id": ("dtk", "mnt", "jam", "hari")}
DAYS = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "id": ("Sen", "Sel", "Rab", "Kam", "Jum", "Sab", "Min"),
}
NOTHING, UNKNOWN = "–", "?"


class Tongue:
    """Everything that depends on the language. `language`: a key of `WORDS`."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._words = WORDS[language]

    def __call__(self, key: str, **values: object) -> str:
        return self._words[key].format(**values)

    def kind(self, drift: str) -> str:
        """Of drift; one without words is told as it is."""
        return self._words.get(f"drift_{drift}", drift)

    def number(self, value: float, digits: int = 0) -> str:
        text = f"{value:,.{digits}f}"
        return text if self.language == "en" else text.translate({ord(","): ".", ord("."): ","})

    def share(self, value: float | None) -> str:
        return NOTHING if value is None else f"{self.number(100 * value, 1)} %"

    def whole_share(self, value: float) -> str:
        return f"{self.number(100 * value)} %"

    def seconds(self, value: float | None) -> str:
        """In the two greatest units, on one line: `8.4 s`, `3 min 05 s`, `2 h 10 min`."""
        return NOTHING if value is None else self._span(value).replace(" ", "\u00a0")

    def _span(self, value: float) -> str:
        s, m, h, d = UNITS[self.language]
        whole = round(value)
        if whole < 60:
            return f"{self.number(value, 1)} {s}" if value < 9.95 else f"{whole} {s}"
        if whole < 3600:
            return f"{whole // 60} {m} {whole % 60:02} {s}" if whole % 60 else f"{whole // 60} {m}"
        if whole < 86_400:
            return f"{whole // 3600} {h} {whole % 3600 // 60:02} {m}" if whole % 3600 // 60 else f"{whole // 3600} {h}"
        return f"{whole // 86_400} {d} {whole % 86_400 // 3600} {h}"

    def axis(self, seconds: float) -> str:
        """One unit, for the grid of a chart."""
        for unit_s, unit in zip((86_400, 3600, 60), reversed(UNITS[self.language][1:]), strict=True):
            if seconds >= unit_s and seconds % unit_s == 0:
                return f"{self.number(seconds / unit_s)} {unit}"
        return f"{self.number(seconds)} {UNITS[self.language][0]}"

    def weekday(self, day: date) -> str:
        return DAYS[self.language][day.weekday()]

    def date_of(self, day: date) -> str:
        return f"{day.day} {MONTHS[self.language][day.month - 1]} {day.year}"

    def short(self, day: date) -> str:
        return f"{self.weekday(day)} {day.day} {MONTHS[self.language][day.month - 1][:3]}"

    def moment(self, at: datetime, zone: ZoneInfo) -> str:
        there = at.astimezone(zone)
        return f"{self.date_of(there.date())} {there:%H:%M} {zone.key}"

    def period(self, period: Period) -> str:
        """`Monday` is not said of a month: `November 2026`; a week has its days, too."""
        if period.kind == DAY:
            return f"{self.weekday(period.first)}, {self.date_of(period.first)}"
        if period.kind == WEEK:
            return f"{self('week')} {period.name[-2:]}: {self.date_of(period.first)} – {self.date_of(period.last)}"
        return f"{MONTHS[self.language][period.first.month - 1]} {period.first.year}"
