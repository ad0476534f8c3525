//! Decisions as values: backoff and delivery lanes; time is passed in.
