//! Which files a worker may reach: libraries and one original to read, one folder to write.
//!
//! Nothing may be executed, no device opened but the harmless three, no link or socket made. On
//! kernels from 6.7 TCP is refused too, and from 6.12 signals to and sockets of other processes;
//! on older ones the system call filter alone stands there.

use std::path::Path;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};

use super::{Enforcement, Error, Policy};

/// The newest interface that this room was tested with.
const ABI_KNOWN: ABI = ABI::V6;

/// Restricts this process; returns what the kernel lacks.
pub(super) fn restrict(policy: &Policy) -> Result<Vec<String>, Error> {
    let mut rules = ruleset()?;
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    for path in &policy.read {
        if path.exists() {
            rules = allow(rules, path, read)?;
        }
    }
    rules = allow(rules, Path::new("/dev/null"), AccessFs::WriteFile.into())?;
    if let Some(folder) = &policy.write {
        let write = read
            | AccessFs::WriteFile
            | AccessFs::Truncate
            | AccessFs::MakeReg
            | AccessFs::MakeDir
            | AccessFs::RemoveFile
            | AccessFs::RemoveDir
            | AccessFs::Refer;
        rules = allow(rules, folder, write)?;
    }
    let status = rules.restrict_self().map_err(refused)?;
    let enforced = status.ruleset != RulesetStatus::NotEnforced;
    if !enforced && policy.enforcement == Enforcement::Required {
        let reason = "this kernel has no landlock (Linux 5.13 or later, with landlock enabled)";
        return Err(Error::Landlock(reason.to_owned()));
    }
    let abi = match status.landlock {
        LandlockStatus::Available { effective_abi, .. } if enforced => effective_abi,
        _ => ABI::Unsupported,
    };
    Ok(missing(abi))
}

fn ruleset() -> Result<RulesetCreated, Error> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(ABI_KNOWN))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(ABI_KNOWN)))
        .and_then(|rules| rules.scope(Scope::from_all(ABI_KNOWN)))
        .and_then(Ruleset::create)
        .map_err(refused)
}

fn allow(
    rules: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, Error> {
    let failed = |source| Error::Path {
        path: path.to_owned(),
        source,
    };
    let is_file = !path.metadata().map_err(failed)?.is_dir();
    let access = if is_file {
        access & AccessFs::from_file(ABI_KNOWN)
    } else {
        access
    };
    let handle = PathFd::new(path).map_err(|error| failed(std::io::Error::other(error)))?;
    rules
        .add_rule(PathBeneath::new(handle, access))
        .map_err(refused)
}

fn missing(abi: ABI) -> Vec<String> {
    [
        (ABI::V1, "file rules"),
        (ABI::V3, "truncate rules"),
        (ABI::V4, "TCP rules"),
        (ABI::V5, "device rules"),
        (ABI::V6, "signal rules"),
    ]
    .into_iter()
    .filter(|(since, _)| abi < *since)
    .map(|(_, name)| name.to_owned())
    .collect()
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err asks for"
)]
fn refused(error: RulesetError) -> Error {
    Error::Landlock(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_kernel_is_described() {
        assert!(missing(ABI_KNOWN).is_empty());
        assert_eq!(missing(ABI::V4), ["device rules", "signal rules"]);
        assert_eq!(missing(ABI::Unsupported).len(), 5);
    }
}
