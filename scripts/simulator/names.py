"""The customers whom the simulator makes up, their names and what is known of them; the model asks for them."""

FIRST = (
    *("Adi", "Bunga", "Citra", "Dewi", "Eka", "Fajar", "Gita", "Hadi", "Indah", "Joko", "Kartika"),
    *("Lukman", "Maya", "Nanda", "Oki", "Putri", "Rahma", "Surya", "Tari", "Wulan"),
)
LAST = ("Hartono", "Saputra", "Wibowo", "Nugroho", "Permata", "Siregar", "Halim", "Utami", "Gunawan", "Santika", "Jaya")


def customer_name(number: int) -> str:
    return f"{FIRST[number % len(FIRST)]} {LAST[number % len(LAST)]}"


CITIES = ("Jakarta", "Denpasar", "Bandung", "Ubud", "Surabaya")
GOLD_EVERY = 4


def known_of(number: int) -> dict[str, str]:
    """The properties that a shop's page might have given: where the customer lives, and a tier for some."""
    city = {"city": CITIES[number % len(CITIES)]}
    return {**city, "tier": "gold"} if number % GOLD_EVERY == 0 else city
