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

/// As the board's build script would, with both numbers.
#[test]
fn a_model_beyond_what_a_board_gives_is_refused() {
    let ram = "bytes of RAM, this board gives a model 12288: ";
    let said = refused("microbit", "digits", "keyword/model.teff");
    assert!(said.contains("does not fit microbit") && said.contains(ram) && said.contains("needs "), "{said}");
    let flash = "needs 486448 bytes of flash, this board gives a model 393216: 93232 bytes too many";
    let (bench, storyteller) = (Bench::with(&[]), model("storyteller/model.teff"));
    let new = |board: &str, folder: &str| {
        let folder = bench.at(folder);
        let args = ["new", "--board", board, "--app", "storyteller", "--model", &storyteller, folder.to_str().unwrap()];
        bench.teff(&args)
    };
    let said = String::from_utf8(new("mps3-an547", "small").stderr).unwrap();
    assert!(said.contains("does not fit mps3-an547") && said.contains(flash), "{said}");
    assert!(!bench.at("small").exists());
    assert!(new("mps2-an386", "large").status.success() && bench.at("large/model.teff").exists());
    let compared = bench.failure(&["flash", "--board", "hifive1", &storyteller, "--compare", "--dry-run"]);
    assert!(compared.contains("does not fit hifive1") && compared.contains("gives a model 11264"), "{compared}");
}
