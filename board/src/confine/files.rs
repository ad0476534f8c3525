//! Landlock: which files a process may open, on which TCP ports it may listen, and whom it may signal.

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    RestrictionStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope,
};

use super::{Held, Plan};
use crate::BoardError;

/// The rules that this program was written and tried with; a kernel of less takes what it knows.
const RULES: ABI = ABI::V6;

/// Restricts the calling thread, and those that it starts.
pub(super) fn lock(plan: &Plan) -> Result<Held, BoardError> {
    let mut writes = Vec::new();
    for folder in &plan.writes {
        let opened = PathFd::new(folder)
            .map_err(|error| BoardError::io(format_args!("{}", folder.display()), error))?;
        writes.push(opened);
    }
    let reads = plan.reads.iter().filter_map(|path| Some((path.is_dir(), PathFd::new(path).ok()?))).collect();
    let status = restrict(writes, reads, &plan.listens)
        .map_err(|error| BoardError::io("the kernel refuses the rules for files", error))?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Held::Whole,
        RulesetStatus::PartiallyEnforced => Held::Part,
        RulesetStatus::NotEnforced => Held::None,
    })
}

fn restrict(
    writes: Vec<PathFd>,
    reads: Vec<(bool, PathFd)>,
    listens: &[u16],
) -> Result<RestrictionStatus, RulesetError> {
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(RULES))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::from_all(RULES))?
        .create()?;
    for folder in writes {
        rules = rules.add_rule(PathBeneath::new(folder, writing()))?;
    }
    for (is_folder, path) in reads {
        let access =
            if is_folder { AccessFs::ReadFile | AccessFs::ReadDir } else { AccessFs::ReadFile.into() };
        rules = rules.add_rule(PathBeneath::new(path, access))?;
    }
    if let Ok(null) = PathFd::new("/dev/null") {
        rules = rules.add_rule(PathBeneath::new(null, AccessFs::ReadFile | AccessFs::WriteFile))?;
    }
    for port in listens {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    rules.restrict_self()
}

/// In a folder of its own: files and folders, and nothing that is something else to the kernel or to whoever comes
/// by as root.
fn writing() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::ReadDir
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}
