//! Both stand-ins with a tiny gateway between them, to see that their books can be compared.

use std::sync::Arc;

use wagate_simulate::Journeys;
use wagate_simulate::crm::{Crm, CrmOptions};
use wagate_simulate::whatsapp::{PayloadOptions, Payloads, Sender, SenderOptions, Supply, Target};

use crate::gateway::{Gateway, yes};
use crate::run;

#[test]
fn what_was_acknowledged_and_never_delivered_is_missing() {
    run(async {
        let journeys = Arc::new(Journeys::default());
        let listen = "127.0.0.1:0".parse().unwrap();
        let crm = Crm::start(CrmOptions { journeys: Some(Arc::clone(&journeys)), ..CrmOptions::new(listen) })
            .unwrap();
        // Acknowledges everything, forwards nothing.
        let gateway = Gateway::start(yes).await;
        let options = PayloadOptions::default();
        let sender = Sender::new(SenderOptions {
            keep_acknowledged: true,
            ..SenderOptions::new(Target::parse(&gateway.url()).unwrap())
        })
        .with_journeys(Arc::clone(&journeys));
        let secret = model::signature::hub::AppSecret::new(b"s");
        let supply = Supply::prepared(Payloads::new(options.clone()), &secret, 10);
        let report = sender.run(vec![supply]).await;
        assert_eq!(crm.missing(&options.source(), report.acknowledged_ids()).len(), 10);
        assert_eq!(journeys.under_way(), 10);
    });
}
