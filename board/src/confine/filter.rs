//! seccomp: the list of [`super::calls`] as a filter.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::Held;
use super::calls::{self, If};
use crate::{BoardError, Code};

/// Filters every thread of the process.
pub(super) fn lock() -> Result<Held, BoardError> {
    let ours = |error: &dyn std::fmt::Display| {
        BoardError::new(Code::Unsupported, format!("the filter of system calls can't be made: {error}"))
    };
    let programs = programs(std::process::id()).map_err(|error| ours(&error))?;
    for program in programs {
        seccompiler::apply_filter_all_threads(&program)
            .map_err(|error| BoardError::io("the kernel refuses the filter of system calls", error))?;
    }
    Ok(Held::Whole)
}

/// The filters, in the order in which they are to be applied; the last one closes the door behind it.
fn programs(own: u32) -> Result<[BpfProgram; 2], BackendError> {
    let arch = std::env::consts::ARCH.try_into()?;
    let errno = |errno: i32| SeccompAction::Errno(errno.unsigned_abs());
    // The C library goes back to `clone`, whose flags can be looked at, on this answer and on no other.
    let unknown: BTreeMap<i64, Vec<SeccompRule>> = [(libc::SYS_clone3, Vec::new())].into();
    let unknown = SeccompFilter::new(unknown, SeccompAction::Allow, errno(libc::ENOSYS), arch)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for call in calls::always().chain([libc::SYS_clone3]) {
        rules.insert(call, Vec::new());
    }
    for (call, conditions) in calls::sometimes(own) {
        rules.entry(call).or_default().push(rule(&conditions)?);
    }
    let known = SeccompFilter::new(rules, errno(libc::EPERM), SeccompAction::Allow, arch)?;
    Ok([unknown.try_into()?, known.try_into()?])
}

fn rule(conditions: &[If]) -> Result<SeccompRule, BackendError> {
    use SeccompCmpArgLen::{Dword, Qword};
    let conditions = conditions.iter().map(|condition| match *condition {
        If::Is { argument, value } => SeccompCondition::new(argument, Dword, SeccompCmpOp::Eq, value),
        If::Masked { argument, mask, value } => {
            SeccompCondition::new(argument, Dword, SeccompCmpOp::MaskedEq(mask), value)
        }
        If::Null { argument } => SeccompCondition::new(argument, Qword, SeccompCmpOp::Eq, 0),
    });
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}
