//! One history each.

use super::*;

#[test]
fn a_good_gateway_is_started_once_and_left_alone() {
    let mut world = World::configured(Manner::Good(3), None);
    world.run(7 * 3600);
    assert_eq!((world.starts.as_slice(), world.kills.as_slice()), ([0].as_slice(), [].as_slice()));
    assert_eq!(world.shown, [Shown::Starting, Shown::Running]);
    assert_eq!((world.starved, world.gone), (None, None));
}

#[test]
fn a_gateway_that_stops_beating_is_killed_in_a_minute_and_its_next_one_is_left_alone() {
    let mut world = World::configured(Manner::Stuck(2, 100), None);
    world.run(102);
    world.manner = Manner::Good(2);
    world.run(3600);
    assert_eq!(world.kills, [162], "the last beat was at 102");
    assert_eq!(world.starts, [0, 163]);
    assert_eq!(world.shown, [Shown::Starting, Shown::Running, Shown::Failing, Shown::Running]);
    assert_eq!((world.starved, world.gone), (None, None));
}

#[test]
fn gateways_that_hang_one_after_the_other_bring_the_machine_to_a_new_start() {
    for manner in [Manner::Deaf(1), Manner::Stuck(1, 0), Manner::Mute] {
        let mut world = World::configured(manner, None);
        world.run(600);
        let (goal, at) = world.gone.expect("it goes");
        assert_eq!(goal, Goal::Reboot);
        assert!((300..=365).contains(&at), "{manner:?} at {at}");
        assert!(world.kills.len() >= 2, "{manner:?}");
        // Nothing feeds it then, should the way down hang as well.
        assert!(world.starved.is_some_and(|starved| starved <= at + 46), "{manner:?}");
    }
}

#[test]
fn what_is_asked_to_end_and_cant_be_killed_brings_the_machine_to_a_new_start() {
    let mut world = World::configured(Manner::Good(1), None);
    world.immortal = true;
    world.run(100);
    world.event(Event::Said(Word::Stopping));
    world.run(600);
    assert_eq!(world.kills, [115]);
    assert_eq!(world.gone, Some((Goal::Reboot, 415)), "five minutes after it was killed");
    // Another configuration is to be taken.
    let mut world = World::configured(Manner::Good(1), None);
    world.immortal = true;
    world.run(100);
    world.event(Event::Found(Found::Configuration));
    world.run(600);
    assert_eq!(world.gone, Some((Goal::Reboot, 415)));
}

#[test]
fn a_gateway_that_nothing_can_kill_brings_the_machine_to_a_new_start() {
    let mut world = World::configured(Manner::Stuck(1, 40), None);
    world.immortal = true;
    world.run(600);
    assert_eq!(world.kills, [101]);
    assert_eq!(world.gone, Some((Goal::Reboot, 341)), "five minutes after its last beat");
    assert_eq!(world.starved, Some(341 + 45));
}

#[test]
fn a_gateway_that_leaves_by_itself_is_started_again_after_longer_and_longer_waits() {
    let mut world = World::configured(Manner::Leaves(1, 1, false), None);
    world.run(3600);
    let waits: Vec<u64> = world.starts.windows(2).map(|two| two[1] - two[0] - 1).take(8).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!((world.starved, world.gone), (None, None));
    // One that stays well for a while has everything behind it forgotten.
    world.manner = Manner::Good(1);
    world.run(300);
    world.child = None;
    world.event(Event::Ended(Ended::Signal(11)));
    let before = world.starts.len();
    world.run(1);
    assert_eq!(world.starts.len(), before + 1);
}

#[test]
fn a_refused_configuration_is_shown_and_tried_now_and_then() {
    let mut world = World::configured(Manner::Leaves(1, 2, false), None);
    world.run(3600);
    assert_eq!(world.shown, [Shown::Starting, Shown::Refused]);
    assert!((100..130).contains(&world.starts.len()), "{}", world.starts.len());
    assert_eq!((world.starved, world.gone, world.given_up), (None, None, None));
    world.manner = Manner::Good(1);
    world.run(60);
    assert_eq!(world.shown.last(), Some(&Shown::Running));
}

#[test]
fn without_a_configuration_the_setup_page_waits_for_as_long_as_it_takes() {
    let mut world = World::new(Manner::Good(1), None);
    world.run(5);
    assert!(world.child.is_none(), "not before it's known what there is");
    world.event(Event::Found(Found::Nothing));
    assert_eq!(world.starts, [5]);
    world.run(86_400);
    assert_eq!((world.kills.len(), world.starved, world.gone), (0, None, None), "it needn't beat");
    world.child = None;
    world.event(Event::Ended(Ended::Status(1)));
    world.run(2);
    assert_eq!(world.child.map(|(child, ..)| child), Some(Child::Setup));
    world.event(Event::Found(Found::Configuration));
    assert_eq!(world.child.map(|(child, ..)| child), Some(Child::Gateway));
    world.run(10);
    assert_eq!(world.shown, [Shown::Starting, Shown::Setup, Shown::Starting, Shown::Running]);
}

#[test]
fn without_data_nothing_is_started_and_the_machine_stays_up() {
    let mut world = World::new(Manner::Good(1), None);
    world.event(Event::Found(Found::NoData));
    world.run(86_400);
    assert_eq!((world.starts.len(), world.starved, world.gone), (0, None, None));
    assert_eq!(world.shown, [Shown::NoData]);
}

#[test]
fn data_that_cant_be_kept_is_checked_by_a_new_start_but_not_before_ten_minutes() {
    let lost = |mut world: World, found| {
        world.event(Event::Found(found));
        while world.gone.is_none() && world.now < 3600 {
            world.second();
            world.event(Event::DataLost);
        }
        (world.gone, world.starved)
    };
    let without = lost(World::new(Manner::Good(1), None), Found::NoData);
    assert_eq!(without, (Some((Goal::Reboot, 600)), None));
    // Gateways that leave since nothing can be written would do so for ever.
    let read_only = lost(World::new(Manner::Leaves(3, 1, false), None), Found::Configuration);
    assert_eq!(read_only, (Some((Goal::Reboot, 600)), None));
}

#[test]
fn a_search_that_hangs_is_given_up() {
    let mut world = World::new(Manner::Good(1), None);
    world.run(100);
    assert_eq!((world.searched, world.starts.as_slice()), (true, [90].as_slice()));
    // What it says at last is heard all the same.
    world.event(Event::Found(Found::Configuration));
    world.run(100);
    assert_eq!(world.starts.len(), 2, "with what it found");
}

#[test]
fn a_new_configuration_takes_the_place_of_the_one_that_runs() {
    let mut world = World::configured(Manner::Good(1), None);
    world.run(50);
    world.event(Event::Found(Found::Configuration));
    assert_eq!(world.starts, [0, 50], "at once: it was asked to go");
    world.stubborn = true;
    world.run(10);
    world.event(Event::Found(Found::Configuration));
    world.run(20);
    assert_eq!((world.kills.as_slice(), world.starts.last()), ([75].as_slice(), Some(&75)));
    assert_eq!(world.starved, None);
}

#[test]
fn going_down_waits_for_what_is_in_flight_but_not_for_ever() {
    for goal in [Goal::Reboot, Goal::End] {
        let mut world = World::configured(Manner::Good(1), None);
        world.run(10);
        world.event(Event::Stop(goal));
        assert_eq!(world.gone, Some((goal, 10)));
        let mut world = World::configured(Manner::Good(1), None);
        world.stubborn = true;
        world.run(10);
        world.event(Event::Stop(goal));
        world.run(60);
        assert_eq!((world.kills.as_slice(), world.gone), ([25].as_slice(), Some((goal, 25))));
        let mut world = World::configured(Manner::Good(1), None);
        world.immortal = true;
        world.run(10);
        world.event(Event::Stop(goal));
        world.run(60);
        assert_eq!((world.gone, world.starved), (Some((goal, 30)), Some(55)));
    }
}

#[test]
fn time_in_which_this_process_was_stopped_is_nobodys_fault() {
    let mut world = World::configured(Manner::Good(1), None);
    world.run(100);
    // The beats of these ten minutes are still unread.
    world.now += 600;
    world.event(Event::Tick);
    assert_eq!(world.kills.len(), 0);
    // Beats come when this one's own time reaches them again.
    world.child = world.child.map(|(child, since, manner)| (child, since + 600, manner));
    world.run(600);
    assert_eq!((world.kills.len(), world.gone), (0, None));
}

#[test]
fn a_version_on_trial_that_commits_stays_whatever_comes_later() {
    let mut world = World::configured(Manner::Good(5), Some(300));
    world.run(40);
    world.event(Event::Committed);
    world.manner = Manner::Leaves(1, 1, false);
    world.run(7200);
    assert_eq!((world.given_up, world.gone), (None, None));
}

#[test]
fn three_gateways_that_end_before_they_are_ready_end_the_trial() {
    let mut world = World::configured(Manner::Leaves(1, 1, false), Some(300));
    world.run(60);
    assert_eq!(world.starts.len(), 3);
    assert!(world.given_up.is_some_and(|at| at < 10));
    assert!(matches!(world.gone, Some((Goal::Reboot, _))));
    // Once it was ready it's another matter: then the time decides.
    let mut world = World::configured(Manner::Leaves(4, 1, true), Some(300));
    world.run(301);
    assert!(world.starts.len() > 5);
    assert_eq!(world.given_up, Some(300));
}

#[test]
fn while_the_disk_refuses_a_version_that_works_is_asked_to_make_way_again_and_again() {
    let mut world = World::configured(Manner::Good(5), Some(300));
    world.disk_refuses = true;
    world.run(1000);
    assert_eq!((world.gone, world.shown.last()), (None, Some(&Shown::Running)));
    assert_eq!(world.asked_to_give_up, [300, 600, 900]);
    world.disk_refuses = false;
    world.run(300);
    assert_eq!(world.given_up, Some(1200));
}

#[test]
fn while_the_disk_refuses_a_version_that_doesnt_work_spends_a_start() {
    let mut world = World::configured(Manner::Leaves(1, 1, false), Some(300));
    world.disk_refuses = true;
    world.run(300);
    let asked = world.asked_to_give_up[0];
    assert!(asked < 60, "{asked}");
    assert_eq!(world.gone, Some((Goal::Reboot, asked + 60)));
}

#[test]
fn a_version_that_cant_be_given_up_goes_on() {
    let mut world = World::configured(Manner::Good(5), Some(300));
    world.can_give_up = false;
    world.run(3600);
    assert_eq!((world.gone, world.shown.last()), (None, Some(&Shown::Running)));
}

#[test]
fn a_start_that_takes_half_an_hour_is_waited_for_also_on_trial() {
    for commit_within in [None, Some(300)] {
        let mut world = World::configured(Manner::Opens(1800, true), commit_within);
        world.run(1800 + 200);
        assert_eq!((world.starts.as_slice(), world.kills.len()), ([0].as_slice(), 0), "{commit_within:?}");
        assert_eq!((world.given_up, world.gone, world.starved), (None, None, None), "{commit_within:?}");
        assert_eq!(world.shown.last(), Some(&Shown::Running));
        // Once the store is open it has its time and no more.
        world.run(200);
        assert_eq!(world.given_up.is_some(), commit_within.is_some());
    }
}

#[test]
fn a_repair_after_a_hang_isnt_cut_short_by_a_new_start_of_the_machine() {
    let mut world = World::configured(Manner::Stuck(2, 100), None);
    world.run(102);
    world.manner = Manner::Opens(1200, true);
    world.run(2000);
    assert_eq!((world.kills.as_slice(), world.gone), ([162].as_slice(), None));
}

#[test]
fn a_start_without_an_end_ends_after_an_hour() {
    let mut world = World::configured(Manner::Opens(0, false), None);
    world.run(3600);
    assert_eq!((world.kills.len(), world.gone), (0, None));
    world.run(600);
    assert_eq!(world.kills.first(), Some(&3720));
    assert!(matches!(world.gone, Some((Goal::Reboot, at)) if at < 4000), "{:?}", world.gone);
    let mut world = World::configured(Manner::Opens(0, false), Some(300));
    world.run(3900);
    assert!(world.given_up.is_some_and(|at| at <= 3900));
}

#[test]
fn long_starts_that_end_by_themselves_never_bring_the_machine_down() {
    let mut world = World::configured(Manner::Opens(9000, true), None);
    for _ in 0..10 {
        world.run(1000);
        world.child = None;
        world.event(Event::Ended(Ended::Status(1)));
    }
    assert_eq!((world.kills.len(), world.gone, world.starved), (0, None, None));
}

#[test]
fn a_disk_that_hangs_while_a_version_is_given_up_brings_a_new_start_and_meanwhile_the_watchdog_is_fed() {
    let mut world = World::configured(Manner::Good(5), Some(300));
    world.give_up_hangs = true;
    world.run(359);
    assert_eq!((world.gone, world.starved), (None, None));
    world.run(1);
    assert_eq!((world.gone, world.starved), (Some((Goal::Reboot, 360)), None));
    // It committed at the last moment.
    let mut world = World::configured(Manner::Good(5), Some(300));
    world.give_up_hangs = true;
    world.run(310);
    world.event(Event::Committed);
    world.run(3600);
    assert_eq!((world.gone, world.shown.last()), (None, Some(&Shown::Running)));
}
