//! The sockets out: records to the CRM through one client, every answer classified.
