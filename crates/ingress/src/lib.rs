//! The sockets in: Meta's webhooks over TLS, within limits.
