"""Tokens: keys and signed claims (pure), the key ring, refresh tokens and revocation."""
