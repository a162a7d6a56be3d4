//! Folders of samples.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// The samples of a folder.
pub(super) struct Folder {
    pub(super) files: Vec<PathBuf>,
    /// The class of each, if subfolders say it.
    pub(super) labels: Option<Vec<usize>>,
}

/// Whether the name is that of a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    has_extension(path, &["png", "jpg", "jpeg"])
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension().is_some_and(|found| wanted.iter().any(|w| found.eq_ignore_ascii_case(w)))
}

impl Folder {
    /// Lists `.npy` files and pictures, in the order of their names: those of the folder, or those of its
    /// subfolders, of which each is then a class. Other files are left out.
    pub(super) fn list(path: &Path, classes: &[&str]) -> Result<Self> {
        let what = path.display();
        let (flat, folders) = entries(path)?;
        let mut folder = if flat.is_empty() {
            Self::list_classes(&folders, classes)?
        } else {
            let full = folders.iter().find(|f| entries(f).is_ok_and(|(files, _)| !files.is_empty()));
            if let Some(full) = full {
                bail!(
                    "{what}: holds samples, and so does its subfolder {}: sort all samples into subfolders",
                    name(full)
                );
            }
            Self { files: flat, labels: None }
        };
        let pictures = folder.files.iter().filter(|f| is_picture(f)).count();
        let total = folder.files.len();
        ensure!(total > 0, "{what}: holds no .npy, .png or .jpg, nor subfolders that do");
        ensure!(pictures == 0 || pictures == total, "{what}: holds both pictures and .npy files");
        if folder.labels.as_ref().is_some_and(Vec::is_empty) {
            folder.labels = None;
        }
        Ok(folder)
    }

    fn list_classes(folders: &[PathBuf], classes: &[&str]) -> Result<Self> {
        let index = |folder: &PathBuf| classes.iter().position(|class| *class == name(folder));
        let by_name = folders.iter().all(|folder| index(folder).is_some());
        let mut list = Self { files: Vec::new(), labels: None };
        let mut labels = Vec::new();
        for (place, folder) in folders.iter().enumerate() {
            let (files, _) = entries(folder)?;
            let label = if by_name { index(folder).unwrap_or(place) } else { place };
            labels.extend(std::iter::repeat_n(label, files.len()));
            list.files.extend(files);
        }
        list.labels = Some(labels);
        Ok(list)
    }
}

fn name(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Samples and subfolders in a folder, each in the order of their names; hidden ones are left out.
fn entries(path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let what = || path.display().to_string();
    let mut files = Vec::new();
    let mut folders = Vec::new();
    for entry in fs::read_dir(path).with_context(what)? {
        let path = entry.with_context(what)?.path();
        if name(&path).starts_with('.') {
            continue;
        } else if path.is_dir() {
            folders.push(path);
        } else if is_picture(&path) || has_extension(&path, &["npy"]) {
            files.push(path);
        }
    }
    files.sort();
    folders.sort();
    Ok((files, folders))
}
