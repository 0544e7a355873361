"""An erasure on a real lake and a real database: nothing of the person is left, and everything else is as it was."""

import pytest
from billiard import process

from models import settings
from tests.integration import erasures
from tests.integration.erasures import Shop

WHO = "Zq-4711"

CUSTOMERS = f"customer_id,name,email\n{WHO},Jane Doe,jane@example.org\nC-2,Jim,jim@example.org\n"
ORDERS = (
    f"order_id,customer_id,ordered_at,amount\nO1,{WHO},2026-01-02,10\nO2,C-2,2026-01-03,20\nO3,{WHO},2026-01-04,5\n"
)
LINES = (
    "order_id,line_no,ordered_at,product,quantity,unit_price,customer_id\n"
    f"O1,1,2026-01-02,cup,1,10,\nO2,1,2026-01-03,cup,2,10,\nO9,1,2026-01-03,cup,2,10,{WHO}\n"
)
DEALS = f"deal_id,customer_id,stage,amount\nD1,{WHO},won,5\nD2,C-2,open,6\n"
STAGES = "deal_id,stage,entered_at\nD1,new,2026-01-01\nD1,won,2026-01-02\nD2,new,2026-01-01\n"
LEADS = f"lead_id,source,created_at,customer_id\nL1,web,2026-01-01,{WHO}\nL2,web,2026-01-01,\n"
TOUCHES = (
    f"touch_id,person_id,channel,occurred_at\nT1,{WHO},mail,2026-01-01\nT2,L1,mail,2026-01-01\nT3,L2,mail,2026-01-01\n"
)
ACTIVITIES = "activity_id,customer_id,deal_id,occurred_at\nA1,,D1,2026-01-01\nA2,C-2,D1,2026-01-01\nA3,,D2,2026-01-01\n"
SUBSCRIPTIONS = f"subscription_id,started_on,customer_id,mrr\nS1,2026-01-01,{WHO},9\nS2,2026-01-01,C-2,9\n"
EVERYTHING = {
    "customers": CUSTOMERS,
    "orders": ORDERS,
    "order_lines": LINES,
    "deals": DEALS,
    "deal_stages": STAGES,
    "leads": LEADS,
    "touches": TOUCHES,
    "activities": ACTIVITIES,
    "subscriptions": SUBSCRIPTIONS,
}


@pytest.fixture
def shop(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Shop:
    # The place in the pool that Celery gives to a child, and no broker to publish what comes next.
    monkeypatch.setattr(process.current_process(), "index", 0, raising=False)
    monkeypatch.setattr("workers.runtime.publisher.publish", lambda _lanes: None)
    assert database.home.is_dir()
    return erasures.open_shop()


def _fill(shop: Shop) -> None:
    for name, content in EVERYTHING.items():
        job = shop.import_(name, content)
        assert job.status == "succeeded", (name, job.error)


def test_a_person_is_removed_from_every_dataset(shop: Shop) -> None:
    _fill(shop)
    before = {name: shop.rows(name) for name in EVERYTHING}
    job = shop.erase(WHO)
    assert job.status == "succeeded", job.error
    certificate = job.outcome["certificate"]
    removed = {one["dataset"]: one["matched"] for one in certificate["datasets"]}
    assert removed == {
        "customers": {"customer_id": 1},
        "orders": {"customer_id": 2},
        "order_lines": {"customer_id": 1, "order_id of orders": 1},
        "deals": {"customer_id": 1},
        "deal_stages": {"deal_id of deals": 2},
        "leads": {"customer_id": 1},
        "touches": {"person_id": 1, "person_id of leads": 1},
        "activities": {"deal_id of deals": 1},
        "subscriptions": {"customer_id": 1},
    }
    for name, rows in before.items():
        left = shop.rows(name)
        assert len(left) == len(rows) - sum(removed[name].values())
        assert all(row in rows for row in left), "no other row has changed"
        assert shop.gone(name) == {0: True, 1: False}
        assert shop.table(name).snapshot(0) is None, "its files are removed"
    assert certificate["verified"]
    assert certificate["requested_by"] == "key rk_test"
