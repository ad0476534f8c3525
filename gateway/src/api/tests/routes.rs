//! The OpenAPI document against the routes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::{Value, json};

use super::super::openapi::DOCUMENT;
use super::{Answer, SHOP, World};

fn document() -> &'static Value {
    static READ: OnceLock<Value> = OnceLock::new();
    READ.get_or_init(|| {
        let mut document: Value = serde_json::from_str(DOCUMENT).unwrap();
        // Served beside it, and checked by tests of its own.
        document["components"]["schemas"]["Record"] = json!(true);
        document
    })
}

fn methods(of: &Value) -> BTreeSet<String> {
    of.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect()
}

#[tokio::test]
async fn the_document_has_every_route_with_its_methods_and_no_other() {
    let world = World::new(&[SHOP]);
    let mut served: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let paths = super::super::routes().into_iter().map(|(path, _)| path).chain(["/healthz"]);
    for path in paths {
        // The method that no route has names those that it has.
        let request = Request::builder().method(Method::TRACE).uri(path.replace(['{', '}'], ""));
        let request = request.header("authorization", "Bearer right").body(Body::empty()).unwrap();
        let answer = world.send(request).await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
        let allowed = answer.headers["allow"].to_str().unwrap().to_owned();
        let allowed = allowed.split(',').map(|method| method.trim().to_owned());
        // GET brings it with it.
        served.insert(path.to_owned(), allowed.filter(|method| method != "HEAD").collect());
    }
    let documented: BTreeMap<String, BTreeSet<String>> = document()["paths"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(path, of)| (path.clone(), methods(of)))
        .collect();
    assert_eq!(documented, served);
}

#[tokio::test]
async fn every_documented_route_answers_and_asks_for_the_token() {
    let world = World::new(&[SHOP]);
    for (path, of) in document()["paths"].as_object().unwrap() {
        for (method, operation) in of.as_object().unwrap() {
            let is_open = operation["security"] == json!([]);
            let request = Request::builder().method(&*method.to_uppercase());
            let request = request.uri(path.replace(['{', '}'], "")).body(Body::empty()).unwrap();
            let status = world.send(request).await.status;
            let expected = if is_open { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    let shown = world.get("/v1/openapi.json").await;
    assert_eq!(shown.json, serde_json::from_str::<Value>(DOCUMENT).unwrap());
    assert_eq!(world.get("/v1/nothing").await.status, StatusCode::NOT_FOUND);
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_one() {
    let document = document();
    let mut ids = BTreeSet::new();
    let mut left = vec![document];
    while let Some(value) = left.pop() {
        if let Some(place) = value["$ref"].as_str() {
            assert!(document.pointer(place.trim_start_matches('#')).is_some(), "{place}");
        }
        if let Some(id) = value["operationId"].as_str() {
            assert!(ids.insert(id.to_owned()), "{id} is there twice");
        }
        match value {
            Value::Array(list) => left.extend(list),
            Value::Object(members) => left.extend(members.values()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name}");
    }
}

/// Holds an answer against what the document says of it.
pub(super) fn is_as_documented(method: &Method, path: &str, answer: &Answer) {
    let document = document();
    let fits = |template: &str| {
        let (mut template, mut path) = (template.split('/'), path.split('/'));
        let same =
            template.by_ref().zip(path.by_ref()).all(|(one, other)| one.starts_with('{') || one == other);
        same && template.next().is_none() && path.next().is_none()
    };
    // A name in braces stands for less than the same name written out.
    let paths = document["paths"].as_object().unwrap();
    let found = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .min_by_key(|(template, _)| template.contains('{'));
    let Some((template, of)) = found else { return };
    let operation = &of[method.as_str().to_lowercase()];
    if operation.is_null() {
        return;
    }
    let status = answer.status.as_str();
    let mut said = &operation["responses"][status];
    if let Some(place) = said["$ref"].as_str() {
        said = document.pointer(place.trim_start_matches('#')).unwrap();
    }
    assert!(!said.is_null(), "{method} {template} answers {status}, which isn't documented: {}", answer.json);
    let Some(content) = said["content"].as_object() else {
        return assert!(answer.json.is_null(), "{method} {template} {status}: {}", answer.json);
    };
    let kind = answer.headers["content-type"].to_str().unwrap().split(';').next().unwrap_or_default();
    let Some(said) = content.get(kind).or_else(|| content.get("*/*")) else {
        panic!("{method} {template} {status} is {kind}")
    };
    if !kind.ends_with("json") {
        return;
    }
    let mut schema = said["schema"].clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&answer.json)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{method} {template} {status}: {errors:#?}\n{:#}", answer.json);
}
