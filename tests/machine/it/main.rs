//! The box as a machine: the image, booted, updated, cut off and rolled back in QEMU.
//!
//! Each machine is a process of `qemu-system-aarch64` with a copy of the image as its disk. Nothing runs in it
//! but the image itself; it is watched from outside: by its API, its serial line, its disk.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::print_stdout, reason = "figures that a run has found")]

mod first_boot;
mod flash;
mod harness;
mod killed;
mod life;
mod replay;
mod roll_back;
mod sbom;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Machines at a time, where `WAGATE_MACHINES` says nothing. Each takes half a gigabyte and, on average, half a
/// core.
const MACHINES: usize = 5;

/// The tests by their paths.
macro_rules! tests {
    ($($test:path),* $(,)?) => { [$((stringify!($test), $test as fn())),*] };
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let given = std::env::var("WAGATE_MACHINES").ok().and_then(|count| count.parse().ok());
    arguments.test_threads = arguments.test_threads.or(given).or(Some(MACHINES));
    // The longest first, so that none runs alone at the end.
    let tests = tests![
        life::a_flashed_card_becomes_a_box_that_updates_itself,
        roll_back::a_version_that_starts_and_does_not_work_is_given_up,
        killed::power_cuts_at_the_start_spend_nothing_and_what_can_not_be_loaded_makes_way,
        roll_back::a_version_that_does_not_start_is_given_up,
        first_boot::a_mistake_is_shown_and_a_right_configuration_taken_under_u_boot,
        replay::whenever_the_power_goes_the_disk_is_whole_and_every_acknowledged_webhook_on_it,
        killed::no_acknowledged_webhook_is_lost_when_the_plug_is_pulled_during_updates,
        first_boot::the_image_reaches_its_programs_on_a_raspberry_pi,
        flash::a_card_holds_what_was_written_to_it_or_the_script_says_that_it_doesnt,
        sbom::the_list_of_components_is_of_this_program,
        harness::bundle::base64_is_as_everybody_writes_it,
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&arguments, tests.map(trial).into()).exit_code()
}
