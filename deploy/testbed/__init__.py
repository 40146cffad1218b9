"""Real directories on loopback: Samba forests and slapd, for tests and demo."""
