//! Delivery and calls over real sockets, to a CRM and a Graph that misbehave on demand.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected should fail")]

mod connections;
mod crm;
mod crm_failover;
mod crm_probe;
mod delivering;
mod doubt;
mod downloading;
mod failover;
mod graph;
mod graph_endpoints;
mod graph_manage;
mod graph_probes;
mod journal;
mod raw;
mod running;
mod tls;
mod uploading;
