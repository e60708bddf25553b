"""Real servers, processes, browsers and people: what tests, storms, days, pictures and benches stand on."""
