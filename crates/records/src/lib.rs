//! Webhook bytes to items, and records to the events that a CRM reads.
