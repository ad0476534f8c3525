use super::Exit;
use super::args::{SimulateCrm, SimulateWhatsapp};
pub(super) fn whatsapp(_: &SimulateWhatsapp) -> anyhow::Result<Exit> {
    anyhow::bail!("x")
}
pub(super) fn crm(_: &SimulateCrm) -> anyhow::Result<Exit> {
    anyhow::bail!("x")
}
