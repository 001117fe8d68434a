"""What belongs to a table, by a dump's own list; and the statements in what pg_restore writes."""

from hypothesis import example, given
from hypothesis import strategies as st

from runbooks.steps.backup.contents import Entry, choose, entries, in_a_line, named, with_what_is_about
from runbooks.steps.backup.script import statements

#: As pg_restore 18 writes it, with what does not matter here left out.
LISTING = """;
; Archive created at 2026-11-22 09:48:38 UTC
;     TOC Entries: 84
;
; Selected TOC Entries:
;
6; 2615 16385 SCHEMA - odd one ada
870; 1247 16387 TYPE public mood ada
236; 1255 16391 FUNCTION public touch() ada
228; 1259 16452 TABLE odd one orders old ada
;	depends on: 6
227; 1259 16451 SEQUENCE odd one orders old_id_seq ada
;	depends on: 6 228
2687; 0 0 SEQUENCE OWNED BY odd one orders old_id_seq ada
;	depends on: 227
230; 1259 16466 TABLE public events ada
231; 1259 16478 TABLE public events_24 ada
;	depends on: 230
232; 1259 16488 TABLE public events_25 ada
;	depends on: 230
233; 1259 16498 TABLE public events_25_1 ada
;	depends on: 232
229; 1259 16465 SEQUENCE public events_id_seq ada
;	depends on: 230
220; 1259 16393 SEQUENCE public free_seq ada
225; 1259 16437 TABLE public lines ada
224; 1259 16406 TABLE public orders the owner
;	depends on: 220 870
2688; 0 0 COMMENT public TABLE orders the owner
;	depends on: 224
222; 1259 16404 SEQUENCE public orders_id_seq the owner
;	depends on: 224
2690; 0 0 SEQUENCE OWNED BY public orders_id_seq the owner
;	depends on: 222
226; 1259 16445 VIEW public totals ada
;	depends on: 224 224
221; 1259 16394 TABLE public users ada
2467; 0 0 TABLE ATTACH public events_24 ada
;	depends on: 231 230
2468; 0 0 TABLE ATTACH public events_25 ada
;	depends on: 232 230
2469; 0 0 TABLE ATTACH public events_25_1 ada
;	depends on: 233 232
2470; 2604 16409 DEFAULT public orders id the owner
;	depends on: 222 224 224
2676; 0 16478 TABLE DATA public events_24 ada
;	depends on: 231
2677; 0 16498 TABLE DATA public events_25_1 ada
;	depends on: 233
2671; 0 16406 TABLE DATA public orders the owner
;	depends on: 224
2693; 0 0 SEQUENCE SET public events_id_seq ada
;	depends on: 229
2694; 0 0 SEQUENCE SET public free_seq ada
;	depends on: 220
2695; 0 0 SEQUENCE SET public orders_id_seq the owner
;	depends on: 222
2489; 2606 16472 CONSTRAINT public events events_pkey ada
;	depends on: 230 230
2491; 2606 16482 CONSTRAINT public events_24 events_24_pkey ada
;	depends on: 2489 231 231 231
2494; 2606 16492 CONSTRAINT public events_25 events_25_pkey ada
;	depends on: 232 232 2489 232
2483; 2606 16418 CONSTRAINT public orders orders_pkey the owner
;	depends on: 224
2479; 2606 16401 CONSTRAINT public users users_pkey ada
;	depends on: 221
2487; 1259 16508 INDEX public ev ada
;	depends on: 230
2492; 1259 16509 INDEX public events_24_u_idx ada
;	depends on: 231 231 2487
2484; 1259 16431 INDEX public part the owner
;	depends on: 224 224 224
2697; 0 0 COMMENT public INDEX part the owner
;	depends on: 2484
2499; 0 0 INDEX ATTACH public events_24_pkey ada
;	depends on: 231 2489 2491 2489 231 230
2500; 0 0 INDEX ATTACH public events_24_u_idx ada
;	depends on: 2492 2487 231 230
2501; 0 0 INDEX ATTACH public events_25_pkey ada
;	depends on: 2489 232 2494 2489 232 230
2505; 3381 16433 STATISTICS public st ada
;	depends on: 224 224
2660; 2618 16434 RULE public users r ada
;	depends on: 221 224 221 221
2511; 2620 16432 TRIGGER public orders touched the owner
;	depends on: 224 236
2508; 2606 16440 FK CONSTRAINT public lines lines_o_fkey ada
;	depends on: 224 225 2483
2506; 2606 16426 FK CONSTRAINT public orders orders_parent_fkey the owner
;	depends on: 224 2483 224
2507; 2606 16421 FK CONSTRAINT public orders orders_u_fkey the owner
;	depends on: 224 2479 221
2698; 0 0 COMMENT public CONSTRAINT orders_u_fkey ON orders the owner
;	depends on: 2507
2662; 0 16406 ROW SECURITY public orders the owner
;	depends on: 224
2663; 3256 16435 POLICY public orders pol the owner
;	depends on: 224 224
2666; 6106 16450 PUBLICATION TABLE public pub orders ada
;	depends on: 224 2665
"""
CONTENTS = entries(LISTING)

_NAMES = st.text(
    st.sampled_from("ab \n\r\"';-\\$,()_\u2028") | st.characters(codec="utf-8", exclude_characters="\0"),
    min_size=1,
    max_size=12,
)


def quoted(name: str) -> str:
    """As PostgreSQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def test_a_table_has_what_is_its_own() -> None:
    """Keys to others are for later; keys of others, views and publications are not its own."""
    chosen = choose(CONTENTS, [224])

    assert set(chosen.own) == {
        *(224, 2688, 222, 2690, 2470, 2671, 2695, 2483, 2484, 2697, 2505, 2511, 2662, 2663),
    }
    assert chosen.after == (2506, 2507, 2698)
    assert chosen.others == (2508,)
    assert [each.id for each in chosen.left] == [226, 2660, 2666]
    assert [each.id for each in chosen.needs] == [870, 236, 220]
    assert list(chosen.own) == [each.id for each in CONTENTS if each.id in chosen.own]


def test_partitions_come_with_their_table() -> None:
    """Those of partitions too, with what attaches them."""
    chosen = choose(CONTENTS, named(CONTENTS, "public", "events"))

    assert {230, 231, 232, 233, 2467, 2468, 2469, 2676, 2677, 229, 2693} <= set(chosen.own)
    assert {2489, 2491, 2494, 2487, 2492, 2499, 2500, 2501} <= set(chosen.own)
    assert (chosen.after, chosen.others, chosen.left, chosen.needs) == ((), (), (), ())


def test_a_partition_alone_is_attached_later() -> None:
    """It is made without what it was a part of."""
    chosen = choose(CONTENTS, named(CONTENTS, "public", "events_24"))

    assert chosen.own == (231, 2676, 2491, 2492)
    assert chosen.after == (2467,)
    assert chosen.needs == ()


def test_what_is_needed_comes_with_its_values() -> None:
    """A sequence that is nobody's, as the dump has it."""
    assert with_what_is_about(CONTENTS, [220, 870]) == (870, 220, 2694)


def test_kinds_of_several_words_are_no_schemas() -> None:
    """A table in a schema that is called DATA is a table."""
    odd = entries(
        "1; 1259 7 TABLE DATA orders ada\n2; 0 7 TABLE DATA DATA orders ada\n3; 0 0 COMMENT - x ada"
    )

    assert [(each.kind, each.text) for each in odd] == [
        ("TABLE", "DATA orders ada"),
        ("TABLE DATA", "DATA orders ada"),
        ("COMMENT", "- x ada"),
    ]


def test_a_name_that_begins_alike_is_one_more_that_it_could_be() -> None:
    """pg_restore is asked which one it is."""
    contents = entries("1; 1259 7 TABLE public orders ada\n2; 1259 8 TABLE public orders old ada")

    assert named(contents, "public", "orders") == (1, 2)
    assert named(contents, "public", "orders old") == (2,)
    assert named(contents, "public", "order") == ()


_TABLES = st.lists(st.tuples(_NAMES, _NAMES, _NAMES), min_size=1, max_size=6, unique_by=lambda t: t[:2])


@given(_TABLES)
@example([("public", "orders", "ada"), ("public", "orders old", "ada"), ("public", "orders\nold", "ada")])
def test_whatever_names_are_no_table_takes_from_another(tables: list[tuple[str, str, str]]) -> None:
    """Each has its rows, its key, its index and a key to the next one, and no more."""
    lines = []
    for n, (schema, name, owner) in enumerate(tables):
        lines.append(f"{n * 10 + 1}; 1259 {n + 1} TABLE {in_a_line(f'{schema} {name} {owner}')}")
    for n, (schema, name, owner) in enumerate(tables):
        for kind, class_, more, tag in (
            (2, 0, "TABLE DATA", name),
            (3, 2606, "CONSTRAINT", f"{name} pk"),
            (4, 1259, "INDEX", f"{name}_idx"),
        ):
            lines.append(f"{n * 10 + kind}; {class_} 5 {more} {in_a_line(f'{schema} {tag} {owner}')}")
            lines.append(f";\tdepends on: {n * 10 + 1} {n * 10 + 1}")
    contents = entries("\n".join(lines))

    assert len(contents) == len(tables) * 4
    for n, (schema, name, _) in enumerate(tables):
        assert n * 10 + 1 in named(contents, schema, name)
        chosen = choose(contents, [n * 10 + 1])
        assert set(chosen.own) == {n * 10 + m for m in (1, 2, 3, 4)}
        assert (chosen.after, chosen.others, chosen.left, chosen.needs) == ((), (), (), ())


_ODD = st.sampled_from(["1; 1259 7 TABLE ", "2; 0 ", ";\tdepends on: 1 ", "\n"]) | st.text()


@given(st.lists(_ODD).map("".join))
def test_no_listing_is_too_odd(text: str) -> None:
    """What is no list has nothing in it, or things; never an error."""
    contents = entries(text)
    assert all(isinstance(each, Entry) for each in contents)
    choose(contents, [each.id for each in contents][:1])


@given(st.lists(st.tuples(_NAMES, _NAMES, st.text(st.characters(exclude_characters="\0")))))
@example([('a\n-- TOC entry 9 (x\n"; DROP', "b;\n--\n\\x", "it's; \n-- TOC entry 8 (")])
def test_each_statement_is_under_its_id(things: list[tuple[str, str, str]]) -> None:
    """Whatever is in quotes is neither a heading nor the end of a statement."""
    script = (
        "\\restrict it's a key\nSET statement_timeout = 0;\nSELECT set_config('search_path', '', false);\n\n"
    )
    wanted = {}
    for n, (table, name, value) in enumerate(things, 1):
        wanted[n] = (
            f"ALTER TABLE ONLY public.{quoted(table)}\n    ADD CONSTRAINT {quoted(name)} FOREIGN KEY (a)"
            f" REFERENCES b('{value.replace(chr(39), chr(39) * 2)}')"
        )
        script += (
            f"--\n-- TOC entry {n} (class 2606 OID 5)\n-- Dependencies: 1 2\n"
            f"-- Name: {in_a_line(table)} {in_a_line(name)}; Type: FK CONSTRAINT; Schema: public\n--\n\n"
            f"{wanted[n]};\n\n\n"
        )
    script += "-- Completed on 2026\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict key\n"

    assert statements(script) == wanted
