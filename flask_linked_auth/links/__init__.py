"""Links: services that call each other, for themselves or on a person's behalf."""
