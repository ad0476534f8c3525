//! The stand-ins: a WhatsApp that sends signed webhooks, and a small CRM.
