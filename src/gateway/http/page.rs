use axum::response::Html;

/// The page for people: one file, in the binary.
pub async fn page() -> Html<&'static str> {
    Html(include_str!("page.html"))
}
