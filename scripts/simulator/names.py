"""The names of the customers that the simulator makes up; the model asks for them."""

FIRST = (
    *("Adi", "Bunga", "Citra", "Dewi", "Eka", "Fajar", "Gita", "Hadi", "Indah", "Joko", "Kartika"),
    *("Lukman", "Maya", "Nanda", "Oki", "Putri", "Rahma", "Surya", "Tari", "Wulan"),
)
LAST = ("Hartono", "Saputra", "Wibowo", "Nugroho", "Permata", "Siregar", "Halim", "Utami", "Gunawan", "Santika", "Jaya")


def customer_name(number: int) -> str:
    return f"{FIRST[number % len(FIRST)]} {LAST[number % len(LAST)]}"
