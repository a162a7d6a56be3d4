//! Where the repository is.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

/// What is found at the root of the repository, and hardly anywhere else.
const LANDMARKS: [&str; 2] = ["runtime/Cargo.toml", "firmware/app/Cargo.toml"];

/// The root of the repository: above the crate that Cargo is running, or above the working folder.
///
/// # Errors
/// If neither lies in the repository: firmware is built from its sources.
pub fn repository() -> Result<PathBuf> {
    let crate_folder = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let working_folder = env::current_dir().ok();
    [crate_folder, working_folder].into_iter().flatten().find_map(|folder| root_above(&folder)).ok_or_else(|| {
        anyhow!("not in the Teff repository: firmware is built from its sources, so run this from a folder of it")
    })
}

fn root_above(folder: &Path) -> Option<PathBuf> {
    let is_root = |folder: &&Path| LANDMARKS.iter().all(|landmark| folder.join(landmark).is_file());
    folder.ancestors().find(is_root).map(Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_from_within_and_not_from_outside() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert_eq!(root_above(&here.join("src/board")).as_deref(), here.parent());
        assert_eq!(root_above(&env::temp_dir()), None);
    }
}
