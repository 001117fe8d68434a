"""`postgres.vitals`: the same numbers before and after, side by side."""

from tests.steps.maintaining import Notebook, do, execute


async def test_after_stands_beside_before(postgres_url: str) -> None:
    """Of the same run; an index that is invalid since is worth a look."""
    memory = Notebook()
    execute(
        postgres_url,
        "CREATE TABLE orders (id int) WITH (autovacuum_enabled = off)",
        "INSERT INTO orders SELECT generate_series(1, 3000)",
        "DELETE FROM orders WHERE id > 1000",
        "CREATE INDEX by_id ON orders (id)",
    )
    before = await do("postgres.vitals", postgres_url, {"moment": "before"}, memory=memory)
    execute(
        postgres_url,
        "VACUUM ANALYZE orders",
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'by_id'::regclass",
    )

    after = await do("postgres.vitals", postgres_url, {"moment": "after"}, memory=memory)

    assert before.values["dead_rows"] == 2000
    assert "dead rows 2,000 → 0" in after.summary
    assert after.output.splitlines()[0].split() == ["before", "after"]
    assert any(line.split() == ["dead", "rows", "2,000", "0"] for line in after.output.splitlines())
    assert after.warnings == ("invalid indexes: 1, before 0",)


async def test_without_a_before_it_says_so(postgres_url: str) -> None:
    """Of another run it knows nothing."""
    done = await do("postgres.vitals", postgres_url, {"moment": "after"})

    assert done.summary == "nothing was looked at before, in this run"
