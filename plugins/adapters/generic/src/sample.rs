//! Samples, sent as the configuration says that deliveries come.

use crate::config::{Auth, Config, True};
use crate::place::Place;
use camshaft_sdk::prelude::*;
use camshaft_sdk::verify::Encoding;

pub(crate) fn sign(sample: Sample, integration: &Integration<Config>) -> Result<Request, Rejection> {
    let config = &integration.config;
    let (kind, id) = (sample.kind.clone(), sample.id.clone());
    let places = [(&config.kind, &kind), (&config.id, &id)];
    let within = |sample: Sample, (place, text): (&Option<Place>, &String)| match place {
        Some(Place::Body(path)) => sample.with(path, text),
        _ => sample,
    };
    let sample = places.into_iter().fold(sample, within);
    let beside = |delivery: Request, (place, text): (&Option<Place>, &String)| match place {
        Some(Place::Header(name)) => delivery.with_header(name, text),
        _ => delivery,
    };
    let delivery = places.into_iter().fold(sample.delivery(&[]), beside);
    let delivery = match &config.auth {
        None => delivery,
        Some(Auth::Header(name)) => delivery.with_header(name, integration.first_secret("header_value")?),
        Some(Auth::Basic(True)) => {
            let credentials = Encoding::Base64.encode(integration.first_secret("basic_credentials")?.as_bytes());
            delivery.with_header("Authorization", &["Basic ", &credentials].concat())
        }
    };
    match &config.signature {
        Some(scheme) => scheme.sign(delivery, &sample.seconds(), integration.first_secret("signing_secret")?),
        None => Ok(delivery),
    }
}
