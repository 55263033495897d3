//! What the `[[test]]` tables may say.

use super::*;

#[test]
fn answers_of_a_test_case_are_those_of_an_operator_that_asks_a_service() {
    let http = "[operators.score]\noperator = \"http\"\nurl = \"http://127.0.0.1:1/\"\n";
    let case = |answers: &str| format!("{http}[[test]]\ninput = \"5\"\n{answers}\n");
    assert_wrong(&[
        (
            &case("answers.factorial = { status = 503 }"),
            &["no operator `factorial` asks a service", "those that do are `score`"],
        ),
        (&case("answers.score = []"), &["`test.answers.score` has no answer"]),
        (&case("answers = 5"), &["`test.answers` must be a table, not an integer"]),
        (&case("answers.score = { status = 5 }"), &["`test.answers.status`"]),
        (&case("answers.score = { stats = 503 }"), &["`stats` is not a setting of"]),
    ]);
    let pipeline = good(&case("answers.score = [{ status = 503 }, { value = { a = 1 } }]"), &[]);
    let answer = |status, body: &str| TestAnswer { status, body: body.to_owned() };
    let expected = [("score".to_owned(), vec![answer(503, ""), answer(200, "{\"a\":1}")])];
    assert_eq!(pipeline.tests[0].answers, expected);
    let failed = wrong(
        &format!(
            "{GOOD}[operators.score]\noperator = \"http\"\n[[test]]\ninput = \"5\"\nanswers.score = {{}}\n"
        ),
        &[],
    );
    assert!(failed.contains("1 error") && failed.contains("`url` is missing"), "{failed}");
}

#[test]
fn tables_of_a_test_case_are_those_of_topics_that_an_operator_looks_into() {
    let json = &["source.format=json", "sink.format=json"];
    let joins = "[operators.join]\ntopic = 'shop.customers'\ninto = 'c'\n\
                 [operators.also]\noperator = 'join'\ntopic = 'places'\ninto = 'p'\n";
    let file = |operators: &str, tables: &str| format!("{GOOD}{operators}[[test]]\ninput = 5\n{tables}\n");
    for (tables, expected) in [
        (
            "[test.tables.shop.customers]\nc1 = 'x'",
            &[
                "no operator looks into a topic `shop`\n    ╭─[ f.toml:19:14 ]",
                "those that are looked into are `[test.tables.places]`, `[test.tables.\"shop.customers\"]`",
            ][..],
        ),
        ("tables.place.a = 1", &["no operator looks into a topic `place`\n    ╭─[ f.toml:19:8 ]"]),
        ("tables = 5", &["`test.tables` must be a table, not an integer\n    ╭─[ f.toml:19:10 ]"]),
        ("tables.places = 'x'", &["`test.tables.places` must be a table, not a string", "f.toml:19:17"]),
    ] {
        let said = wrong(&file(joins, tables), json);
        for part in [&["f.toml: 1 error\n"], expected].concat() {
            assert!(said.contains(part), "{part:?} is not in\n{said}");
        }
    }
    let none = wrong(&file("", "tables.places.a = 1"), json);
    assert!(none.contains("`tables` are for operators such as `join`, and there is none"), "{none}");
    // Without its formats no operator is built; that is what is wrong.
    let failed = wrong(&file("[operators.join]\ntopic = 'a'\ninto = 'b'\n", "tables.a.k = 1"), &[]);
    assert!(failed.contains("1 error") && failed.contains("have no fields"), "{failed}");

    let rows = "[test.tables.\"shop.customers\"]\nc1 = { name = 'Ada', years = [1, 2] }\n\"a.b\" = '{'\n7 = true\n\
                [test.tables.places]\n[[test]]\ninput = 6\n";
    let (pipeline, _) = parsed(&file(joins, rows), json).unwrap();
    let row = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let customers = [row("c1", "{\"name\":\"Ada\",\"years\":[1,2]}"), row("a.b", "{"), row("7", "true")];
    let expected = [("shop.customers".to_owned(), customers.into()), ("places".to_owned(), BTreeMap::new())];
    assert_eq!(pipeline.tests[0].tables, expected.into());
    assert_eq!(pipeline.tests[1].tables, BTreeMap::new());
}
