use super::args::{SimulateCrm, SimulateWhatsapp};
use super::Exit;
pub(super) fn whatsapp(_: &SimulateWhatsapp) -> anyhow::Result<Exit> { anyhow::bail!("x") }
pub(super) fn crm(_: &SimulateCrm) -> anyhow::Result<Exit> { anyhow::bail!("x") }
