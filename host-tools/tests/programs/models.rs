//! Which models `teff new` and `teff flash` refuse before anything is built or written.

use super::{Bench, model};

/// What `new`, `flash` and its dry run say of a model that they refuse; that nothing was run or written.
fn refused(board: &str, app: &str, file: &str) -> String {
    let bench = Bench::with(&["cargo", "probe-rs"]);
    let (folder, model) = (bench.at("made"), model(file));
    let new = ["new", "--board", board, "--app", app, "--model", &model, folder.to_str().unwrap()];
    let flash = ["flash", "--board", board, "--app", app, &model];
    let said = bench.failure(&new);
    assert_eq!(bench.failure(&flash), said);
    assert_eq!(bench.failure(&[&flash[..], &["--dry-run"]].concat()), said);
    assert_eq!(bench.calls(), [""; 0]);
    assert!(!folder.exists() && said.contains(&model), "{said}");
    said
}

#[test]
fn a_model_of_another_application_is_refused_with_what_is_wanted() {
    for (app, file, parts) in [
        ("storyteller", "lightcnn-mnist/model.teff", ["no entry point `decode`", "i8 1×28×28×1", "teff convert --lm"]),
        (
            "digits",
            "storyteller/model.teff",
            ["more than one input", "input position", "models/lightcnn-mnist/model.teff"],
        ),
        ("keyword", "keyword/model.teff", ["it has no state", "i8 1×1×48×40", "models/keyword/streaming.teff"]),
        ("vibration", "sine/model.teff", ["not a spectrum of 32 bands", "output ", "models/vibration/model.teff"]),
    ] {
        let said = refused("nrf52840-dk", app, file);
        let application = format!("no model for the application {app}: ");
        assert!(said.contains(&application) && parts.iter().all(|part| said.contains(part)), "{said}");
    }
}

/// A comparison takes any model.
#[test]
fn a_model_of_any_application_can_be_compared() {
    let (bench, model) = (Bench::with(&[]), model("storyteller/model.teff"));
    bench.text(&["flash", "--board", "nrf52840-dk", "--compare", &model, "--dry-run"]);
}
