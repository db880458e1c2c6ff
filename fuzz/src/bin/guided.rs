//! One target, guided by libFuzzer, which calls it until something is wrong.
//!
//!     OSTIARY_FUZZ_TARGET=json guided CORPUS…
#![no_main]

use std::sync::OnceLock;

use fuzz::Target;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    static CHOSEN: OnceLock<Target> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let name = std::env::var("OSTIARY_FUZZ_TARGET").expect("OSTIARY_FUZZ_TARGET is set");
        fuzz::find(&name).expect("OSTIARY_FUZZ_TARGET names a target")
    });
    (chosen.check)(bytes);
});
