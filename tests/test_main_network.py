"""Own connectivity and all addresses, from the configuration to the row."""

from tests.program import Start, until
from tests.sites import Serve, answer, hang, ok
from tests.test_main import DOWN, rows, stored

GONE = "127.0.0.1:9"


def test_what_is_not_known_is_neither_up_nor_down(program: Start, database: str, serve: Serve) -> None:
    monitor = program(
        pg_uri=database,
        connectivity_check=GONE,
        monitors=[
            {"name": "shop", "url": serve(answer(ok())), "addresses": "all"},
            {"name": "gone", "url": DOWN},
        ],
    )

    code, said = monitor.run("--once")

    assert code == 1
    assert "unknown" in said
    assert "down" not in said
    assert {row["monitor"]: (row["up"], row["reason"]) for row in rows(database)} == {
        "shop": (True, None),
        "gone": (None, "monitor_offline"),
    }


def test_another_way_to_check_connectivity_takes_effect_without_a_restart(
    program: Start, database: str, serve: Serve
) -> None:
    gone = {"name": "gone", "url": DOWN, "interval_s": 0.5}
    monitor = program(pg_uri=database, connectivity_check=GONE, monitors=[gone])
    monitor.start()
    stored(database, 1)

    place = serve(hang).removeprefix("http://")
    monitor.write({"pg_uri": database, "connectivity_check": place, "monitors": [gone]})

    monitor.prints("configuration taken: 0 monitors removed, 0 added")
    until(lambda: any(row["up"] is False for row in rows(database)), "blamed on the site")
    assert rows(database)[0]["reason"] == "monitor_offline"
    assert "take effect at the next start" not in monitor.printed()
