//! Everything that a CRM sends goes through the real program and is taken by a Graph that checks it as Meta does: every
//! type, attachments, files that are uploaded through the box, quick replies, marks as read, people by user id.

use serde_json::{Value, json};
use simulate::crm::Keep;

use crate::harness::sending::{graph_settings, letter, phone, secrets, start_graph, text};
use crate::harness::{Appliance, Poster, Site, crm, eventually, run};

fn bodies(to: &str, media: &str) -> Vec<Value> {
    let of = |kind: &str, object: Value| json!({ "to": to, "type": kind, kind: object });
    let components = json!([
        { "type": "header", "parameters": [{ "type": "image", "image": { "id": media } }] },
        { "type": "body", "parameters": [{ "type": "text", "text": "4711" }] },
        { "type": "button", "sub_type": "quick_reply", "index": "0",
            "parameters": [{ "type": "payload", "payload": "yes" }] },
    ]);
    let buttons = json!([{ "type": "reply", "reply": { "id": "yes", "title": "Yes" } }]);
    let rows = json!([{ "id": "1", "title": "One", "description": "the first" }]);
    vec![
        of("image", json!({ "link": "https://shop.example.com/a.png", "caption": "confidential words" })),
        of("image", json!({ "id": media })),
        of("document", json!({ "id": media, "filename": "offer.pdf" })),
        of("audio", json!({ "id": media })),
        of("video", json!({ "link": "https://shop.example.com/a.mp4" })),
        of("sticker", json!({ "id": media })),
        of("location", json!({ "latitude": 22.28, "longitude": 114.15, "name": "The shop" })),
        of("contacts", json!([{ "name": { "formatted_name": "The Shop", "first_name": "The" } }])),
        of("reaction", json!({ "message_id": "wamid.IN", "emoji": "👍" })),
        of(
            "template",
            json!({ "name": "order_sent", "language": { "code": "en" }, "components": components }),
        ),
        of(
            "interactive",
            json!({ "type": "button", "body": { "text": "confidential words" },
            "action": { "buttons": buttons } }),
        ),
        of(
            "interactive",
            json!({ "type": "list", "body": { "text": "confidential words" },
            "action": { "button": "Choose", "sections": [{ "title": "All", "rows": rows }] } }),
        ),
        of(
            "interactive",
            json!({ "type": "cta_url", "body": { "text": "confidential words" }, "action": {
            "name": "cta_url",
            "parameters": { "display_text": "See", "url": "https://shop.example.com" } } }),
        ),
    ]
}

#[test]
fn whatever_a_crm_sends_is_taken_by_a_graph_that_is_strict() {
    run(async {
        let crm = crm(Keep::Counters, true);
        let mut site = Site::new(&crm);
        let settings = graph_settings(&site);
        let graph = start_graph(&mut site, settings);
        let mut appliance = Appliance::start(&site).await;
        appliance.secret_words = secrets();
        let api = appliance.api.clone();
        let ann = phone(1);
        Poster::new(&site).wrote(&graph, &ann).await;

        let (status, file) =
            api.upload("/v1/media?filename=a.png", "image/png", b"\x89PNG confidential").await;
        assert!((200..300).contains(&status), "{status} {file:#}");
        let media = file["id"].as_str().unwrap_or_else(|| panic!("{file:#}")).to_owned();
        let mut ids = Vec::new();
        for (place, body) in bodies(&ann, &media).iter().enumerate() {
            ids.push(api.queue(&format!("type-{place}"), body).await);
        }
        // However the phone is written, and by user id.
        for (place, to) in ["+1 (212) 555-0001", "12125550001"].into_iter().enumerate() {
            ids.push(api.queue(&format!("written-{place}"), &text(to, "in another form")).await);
        }
        let template = json!({ "name": "order_sent", "language": { "code": "en" } });
        let scoped = json!({ "to": "US.13491208655302741918", "type": "template", "template": template });
        let scoped = api.queue("scoped", &scoped).await;
        ids.push(scoped.clone());

        // Each attachment is a message of its own; the first carries the text.
        let mut body = text(&ann, "with attachments");
        let image =
            |name: &str| json!({ "type": "image", "link": format!("https://shop.example.com/{name}.png") });
        body["attachments"] = json!([image("1"), image("2"), image("3")]);
        let (status, answer) = api.post("/v1/messages", Some("attachments"), &body).await.unwrap();
        assert_eq!(status, 202, "{answer:#}");
        let parts: Vec<String> =
            answer["parts"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
        assert_eq!((parts.len(), &parts[0]), (3, &answer["id"].as_str().unwrap().to_owned()));
        ids.extend(parts.iter().cloned());

        // By a quick reply's name.
        let reply = json!({ "type": "text", "text": { "body": "confidential words ${lead.first_name}" } });
        assert!(api.put("/v1/quick-replies/ready", &reply).await.0 < 300);
        let by_name =
            json!({ "to": ann, "quick_reply": "ready", "fields": { "lead": { "first_name": "Ana" } } });
        ids.push(api.queue("by-name", &by_name).await);
        let unfilled = json!({ "to": ann, "quick_reply": "ready" });
        assert_eq!(api.post("/v1/messages", Some("unfilled"), &unfilled).await.unwrap().0, 422);

        for id in &ids {
            eventually(&format!("{id} goes"), async || {
                let message = api.message(id).await;
                let status = message["status"].as_str().unwrap();
                assert!(!matches!(status, "failed" | "held" | "uncertain"), "{message:#}");
                // No status says of a reaction that it was read.
                let last = if message["type"] == "reaction" { "sent" } else { "read" };
                (status == last).then_some(())
            })
            .await;
        }
        let order: Vec<String> = graph
            .order(crate::harness::sending::NUMBER, &ann)
            .into_iter()
            .filter(|id| parts.contains(id))
            .collect();
        assert_eq!(order, parts);
        assert_eq!(letter(&graph, &scoped).unwrap().recipient, "US.13491208655302741918");
        let units = ids.len() as u64;
        assert_eq!(api.used("messages_per_day").await, units);

        // A mark as read is a call and no message.
        let mark =
            json!({ "status": "read", "message_id": "wamid.IN", "typing_indicator": { "type": "text" } });
        let mark = api.queue("mark", &mark).await;
        eventually("the mark goes", async || (graph.observed().marks == 1).then_some(())).await;
        assert_eq!(api.until(&mark, "accepted").await["type"], "read");
        let observed = graph.observed();
        assert_eq!((observed.accepted, observed.uploads, observed.taken_twice), (units, 1, 0));
        assert_eq!((&observed.refused, observed.without_plus), (&[].into(), 0));
        assert_eq!(api.used("messages_per_day").await, units);
        // The question about the token, the probes and the upload, too: after a slow call there is a probe more.
        eventually("every call is counted", async || {
            (api.used("api_calls_per_day").await == graph.observed().calls).then_some(())
        })
        .await;
        assert!(graph.observed().calls >= units + 4);
        assert_eq!(api.records("wagate.message.sent.v1").await.len() as u64, units);
        api.drained().await;
        crm.look(|observed| assert!(observed.is_clean(), "{:?}", observed.complaints()));
        appliance.stop().await;
    });
}
