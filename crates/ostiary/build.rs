//! Notices a new build of the console, which the binary embeds.

fn main() {
    let console = std::path::Path::new("../../console/dist");
    // A checkout whose console was never built makes a binary without one.
    std::fs::create_dir_all(console).expect("the folder for the console's build can be made");
    println!("cargo::rerun-if-changed={}", console.display());
}
