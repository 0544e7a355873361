"""What sellers did: calls, e-mails, meetings and notes, with a customer in general and within a deal."""

import numpy as np
import pyarrow as pa

from analytics.sample import arrays, people, pipeline, plan, schemas, wording

PER_CUSTOMER = (0.3, 2.0, 4.0, 7.0)
PER_DEAL = 4.0


def activities(made: plan.Plan, block: int) -> pa.RecordBatch:
    """Within a deal none is before it was created nor after it was closed; its owner is the deal's."""
    who = people.population(made, block)
    some, _ = pipeline.simulate(made, block, who)
    rng = made.rng(plan.Stream.ACTIVITIES, block)
    general = np.repeat(np.arange(len(who)), rng.poisson(np.array(PER_CUSTOMER)[who.segment]))
    deal = np.repeat(np.arange(len(some.number)), rng.poisson(PER_DEAL, len(some.number)))
    customer = np.concatenate((general, some.customer[deal]))
    begins = np.concatenate((who.created[general], some.created[deal]))
    until = np.minimum(some.closed, made.season.end)[deal]
    ends = np.concatenate((np.full(len(general), made.season.end), until))
    at = begins + (rng.random(len(begins)) * (ends - begins)).astype(np.int64)
    in_deal = np.arange(len(at)) >= len(general)
    number = np.concatenate((np.zeros(len(general), dtype=np.int64), some.number[deal]))
    in_time = np.argsort(at, kind="stable")
    customer = customer[in_time]
    columns = [
        arrays.numbered("A", made.keys(block, len(at)), plan.ROW_DIGITS),
        arrays.numbered("C", who.number[customer], plan.CUSTOMER_DIGITS),
        pipeline.deal_ids(number[in_time], known=in_deal[in_time]),
        arrays.texts([name for name, _ in wording.OWNERS], who.owner[customer]),
        arrays.texts(wording.ACTIVITY_KINDS, _kinds(rng, len(at))),
        arrays.timestamps(at[in_time]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["activities"])


def _kinds(rng: np.random.Generator, rows: int) -> arrays.Ints:
    return arrays.draw(rng, arrays.weighted_table(wording.ACTIVITY_WEIGHTS), rows)
