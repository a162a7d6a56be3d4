use std::fs::{self, File};

use ndarray::{Array, Dimension};
use ndarray_npy::{NpzWriter, WriteNpyExt};

use super::*;

fn nchw(name: &str, [c, h, w]: [usize; 3]) -> InputSpec {
    InputSpec { name: name.into(), shape: vec![1, h, w, c], perm: vec![0, 2, 3, 1] }
}

/// Distinct numbers: the index in ONNX order.
fn counting(shape: &[usize]) -> ArrayD<f32> {
    let len = shape.iter().product::<usize>();
    ArrayD::from_shape_vec(shape, (0..len).map(|i| i as f32).collect()).unwrap()
}

fn write_npy<T: ndarray_npy::WritableElement, D: Dimension>(path: &Path, array: &Array<T, D>) {
    array.write_npy(File::create(path).unwrap()).unwrap();
}

fn message(result: Result<Dataset>) -> String {
    format!("{:#}", result.err().expect("an error"))
}

#[test]
fn either_layout_gives_the_same_sample() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("x.npy");
    let input = nchw("image", [2, 3, 4]);
    let onnx = counting(&[1, 2, 3, 4]);
    let device = onnx.clone().permuted_axes(vec![0, 2, 3, 1]).as_standard_layout().into_owned();
    let shapes = [vec![1, 2, 3, 4], vec![2, 3, 4], vec![1, 1, 2, 3, 4]];
    for shape in shapes {
        write_npy(&at, &onnx.clone().into_shape_with_order(shape).unwrap());
        let set = Dataset::open(&at, vec![input.clone()], None, &[]).unwrap();
        assert_eq!(set.inputs(0).unwrap(), std::slice::from_ref(&device));
        assert_eq!(set.onnx_inputs(0).unwrap(), std::slice::from_ref(&onnx));
    }
    write_npy(&at, &device.clone().into_shape_with_order(vec![3, 4, 2]).unwrap());
    let set = Dataset::open(&at, vec![input.clone()], None, &[]).unwrap();
    assert_eq!(set.inputs(0).unwrap(), [device]);
    write_npy(&at, &counting(&[3, 2, 4]));
    let error = message(Dataset::open(&at, vec![input], None, &[]));
    assert!(error.contains("[3, 2, 4]") && error.contains("[1, 2, 3, 4] or [1, 3, 4, 2]"), "{error}");
}

#[test]
fn arrays_of_the_shapes_of_the_inputs_are_one_sample() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("set.npz");
    let mut npz = NpzWriter::new_compressed(File::create(&at).unwrap());
    npz.add_array("in_ids", &ndarray::arr1(&[7_i64, -1, 2])).unwrap();
    npz.add_array("in_x", &counting(&[2, 2])).unwrap();
    npz.finish().unwrap();
    let spec = |name: &str, shape: &[usize]| InputSpec { name: name.into(), shape: shape.to_vec(), perm: vec![] };
    let set = Dataset::open(&at, vec![spec("ids", &[3]), spec("x", &[2, 2])], None, &[]).unwrap();
    assert_eq!(set.len(), 1);
    assert_eq!(set.inputs(0).unwrap(), [ndarray::arr1(&[7.0, -1.0, 2.0]).into_dyn(), counting(&[2, 2])]);
}

#[test]
fn an_npz_has_samples_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("set.npz");
    let mut npz = NpzWriter::new_compressed(File::create(&at).unwrap());
    npz.add_array("x", &counting(&[3, 2, 2]).mapv(|v| v as u8)).unwrap();
    npz.add_array("y", &ndarray::arr1(&[7_i64, 0, 2])).unwrap();
    npz.finish().unwrap();
    let preprocess = Preprocess { mean: vec![0.5], std: vec![0.5], size: None };
    let mut set = Dataset::open(&at, vec![nchw("i", [1, 2, 2])], Some(preprocess), &[]).unwrap();
    assert_eq!((set.len(), set.labels().unwrap()), (3, [7, 0, 2].as_slice()));
    let want: Vec<f32> = (4..8).map(|p| (p as f32 / 255.0 - 0.5) / 0.5).collect();
    assert_eq!(set.inputs(1).unwrap()[0].iter().copied().collect::<Vec<_>>(), want);
    set.truncate(2);
    assert!(set.len() == 2 && set.inputs(2).is_err());
    let error = message(Dataset::open(&at, vec![nchw("i", [1, 2, 3])], None, &[]));
    assert!(error.contains("array x: shape [3, 2, 2]"), "{error}");
    let error = message(Dataset::open(&at, vec![nchw("a", [1, 2, 2]), nchw("b", [1, 2, 2])], None, &[]));
    assert!(error.contains("arrays of their names: a, b; found: x, y"), "{error}");
    let error = message(Dataset::open(&at, vec![nchw("i", [1, 2, 2])], None, &[]));
    assert!(error.contains("give --mean and --std"), "{error}");
}

#[test]
fn several_inputs_come_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("set.npz");
    let mut npz = NpzWriter::new(File::create(&at).unwrap());
    npz.add_array("b", &counting(&[2, 5])).unwrap();
    npz.add_array("a", &counting(&[2, 3]).mapv(f64::from)).unwrap();
    npz.finish().unwrap();
    let flat = |name: &str, n| InputSpec { name: name.into(), shape: vec![1, n], perm: vec![0, 1] };
    let set = Dataset::open(&at, vec![flat("a", 3), flat("b", 5)], None, &[]).unwrap();
    assert!(message(Dataset::open(&at, vec![flat("c", 3)], None, &[])).contains("found: b, a"));
    assert!(!set.has_pixels() && set.labels().is_none());
    let [a, b] = set.inputs(1).unwrap().try_into().unwrap();
    assert_eq!((a.shape(), a[[0, 0]], b.shape(), b[[0, 4]]), ([1, 3].as_slice(), 3.0, [1, 5].as_slice(), 9.0));
}

#[test]
fn an_input_called_like_the_labels_is_an_input() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("pair.npz");
    let mut npz = NpzWriter::new(File::create(&at).unwrap());
    npz.add_array("x", &counting(&[2, 3])).unwrap();
    npz.add_array("y", &counting(&[2, 5])).unwrap();
    npz.finish().unwrap();
    let flat = |name: &str, n| InputSpec { name: name.into(), shape: vec![1, n], perm: vec![0, 1] };
    let set = Dataset::open(&at, vec![flat("x", 3), flat("y", 5)], None, &[]).unwrap();
    assert_eq!((set.len(), set.labels()), (2, None));
}

#[test]
fn names_may_have_a_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("pair.npz");
    let mut npz = NpzWriter::new(File::create(&at).unwrap());
    npz.add_array("out_0", &counting(&[1, 3])).unwrap();
    npz.add_array("in_a", &counting(&[2, 3])).unwrap();
    npz.finish().unwrap();
    let input = InputSpec { name: "a".into(), shape: vec![1, 3], perm: vec![0, 1] };
    assert_eq!(Dataset::open(&at, vec![input], None, &[]).unwrap().len(), 2);
}

#[test]
fn subfolders_are_classes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for (class, grey) in [("cat", 10_u8), ("ant", 20)] {
        fs::create_dir(root.join(class)).unwrap();
        image::GrayImage::from_pixel(4, 2, image::Luma([grey])).save(root.join(class).join("1.png")).unwrap();
        fs::write(root.join(class).join("notes.txt"), "").unwrap();
    }
    let open = |classes: &[&str]| {
        Dataset::open(root, vec![nchw("i", [1, 2, 4])], Some(Preprocess::default()), classes).unwrap()
    };
    let sorted = open(&[]);
    assert_eq!(sorted.labels().unwrap(), [0, 1]);
    assert_eq!(sorted.inputs(0).unwrap()[0][[0, 0, 0, 0]], 20.0 / 255.0);
    assert_eq!(open(&["dog", "cat", "ant"]).labels().unwrap(), [2, 1]);
    assert_eq!(open(&["dog", "cat"]).labels().unwrap(), [0, 1]);
}

#[test]
fn pictures_have_the_models_size_and_colours() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path().join("p.png");
    let pixel = |x: u32, y: u32| image::Rgb([x as u8, y as u8, 200]);
    image::RgbImage::from_fn(4, 2, pixel).save(&at).unwrap();
    let open = |size, shape| {
        let preprocess = Preprocess { mean: vec![0.0, 0.0, 0.5], std: vec![1.0], size };
        Dataset::open(&at, vec![nchw("i", shape)], Some(preprocess), &[])
    };
    let set = open(None, [3, 2, 4]).unwrap();
    let x = &set.inputs(0).unwrap()[0];
    assert_eq!([x[[0, 1, 3, 0]], x[[0, 1, 3, 1]]], [3.0 / 255.0, 1.0 / 255.0]);
    assert_eq!(x[[0, 1, 3, 2]], 200.0 / 255.0 - 0.5);
    assert!(message(open(None, [3, 4, 4])).contains("--size 4x4"));
    assert_eq!(open(Some([4, 4]), [3, 4, 4]).unwrap().inputs(0).unwrap()[0].shape(), [1, 4, 4, 3]);
    assert!(message(open(Some([8, 4]), [3, 4, 4])).contains("the model takes 4x4"));
    assert!(message(open(None, [1, 2, 4])).contains("3 values"));
    let planes = InputSpec { name: "i".into(), shape: vec![1, 3, 2, 4], perm: vec![0, 1, 2, 3] };
    let set = Dataset::open(&at, vec![planes], Some(Preprocess::default()), &[]).unwrap();
    assert_eq!(set.inputs(0).unwrap()[0][[0, 1, 1, 3]], 1.0 / 255.0);
}

#[test]
fn pixels_keep_their_exact_range() {
    let preprocess = Preprocess { mean: vec![0.5, 0.25], std: vec![0.5, 1.0], size: None };
    assert_eq!(preprocess.range(), crate::calibrate::Range { min: -1.0, max: 1.0 });
    let json = serde_json::to_string(&preprocess).unwrap();
    assert_eq!(json, r#"{"mean":[0.5,0.25],"std":[0.5,1.0]}"#);
    assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), preprocess);
}

#[test]
fn what_is_no_set_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let open = |path: &Path| message(Dataset::open(path, vec![nchw("i", [1, 2, 2])], None, &[]));
    assert!(open(&root.join("nothing.npz")).contains("no such file"));
    assert!(open(root).contains("holds no .npy"));
    fs::write(root.join("x.npz"), "no zip").unwrap();
    assert!(open(&root.join("x.npz")).contains("x.npz"));
    fs::write(root.join("x.npy"), "no numbers").unwrap();
    assert!(open(&root.join("x.npy")).contains("x.npy"));
    write_npy(&root.join("i.npy"), &ndarray::arr2(&[[1_u64, 2], [3, 4]]));
    assert!(open(&root.join("i.npy")).contains("wanted uint8"));
    fs::write(root.join("x.txt"), "").unwrap();
    assert!(open(&root.join("x.txt")).contains("not a data set"));
}
