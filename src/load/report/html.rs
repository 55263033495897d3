use super::Report;

pub(super) fn page(_: &Report<'_>) -> String {
    String::new()
}
