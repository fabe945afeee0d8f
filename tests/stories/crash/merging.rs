//! A crash at any instant of a merge, of the destruction of what it wrote anew, and of the trimming after it (I1, I2, I4).

use super::expire::{Aged, policy};
use super::records;
use crate::world::World;

/// Eight small segments of one day, and a run at whose `now` they become one.
pub(super) fn merging() -> Aged {
    let long = "[[table]]\nname = \"Long\"\nretain = \"365d\"\n";
    let world = World::new(&(policy("10d") + long)).armed();
    for hour in 0..8_u32 {
        let numbers = 100 + 2 * hour..102 + 2 * hour;
        world.write(&format!("collector/Long/2024/03/01/{hour}.json"), records("2024-03-01", numbers));
        assert!(world.run(&format!("2024-03-10T0{hour}:00:00Z")).unwrap().errors.is_empty());
    }
    let (merging, world) = Aged::play(world, "2024-03-13T01:00:00Z");
    assert_eq!(world.files("archive").keys().filter(|path| path.contains("/_hf_day=")).count(), 1);
    assert!(merging.step.after.retired.is_empty());
    merging
}

#[test]
fn a_crash_while_merging_changes_nothing() {
    let merging = merging();
    merging.crash_at(&merging.cases_of_writes());
}
