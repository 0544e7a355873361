"""What `clv` is: who will come back, how often, and what that is worth."""

import math
from datetime import date, datetime
from enum import StrEnum

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import columns, parameters
from analytics.catalogue.report_type import ReportType

# Fewer customers who came back say too little about when people leave.
MIN_REPEAT_CUSTOMERS = 50
MAX_STEPS = 10_000
MAX_DAYS = 36_525


class Model(StrEnum):
    """A model of when customers buy and when they leave."""

    BG_NBD = "bg_nbd"
    MBG_NBD = "mbg_nbd"
    PARETO_NBD = "pareto_nbd"


class Spend(StrEnum):
    """A model of what a transaction is worth."""

    GAMMA_GAMMA = "gamma_gamma"
    NONE = "none"


class TimeUnit(StrEnum):
    """What x per time, alpha, beta, t_x, T, `horizon` and `discount_rate` are counted in."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"

    @property
    def days(self) -> float:
        """How long a unit is; months and years are those of the mean Julian year."""
        return {"day": 1.0, "week": 7.0, "month": 365.25 / 12, "year": 365.25}[self.value]


class ClvParams(parameters.ReportParams):
    """Parameters of `clv`."""

    model: Model = Field(
        Model.BG_NBD,
        description="bg_nbd: customers may leave after each repeat purchase; mbg_nbd: after the first one too; "
        "pareto_nbd: at any moment.",
    )
    spend: Spend = Field(
        Spend.GAMMA_GAMMA,
        description="gamma_gamma: expect spend per customer; none: orders only, without expected_spend and clv.",
    )
    time_unit: TimeUnit = Field(
        TimeUnit.WEEK,
        description="The unit of t_x, T, alpha, beta, horizon and discount_rate. A month is 30.4375 days, a year 365.25.",
    )
    calibration_end: parameters.Moment | None = Field(
        None,
        description="The model learns from the days before the local day of this moment; that day itself is left out. "
        "Default: `as_of`.",
    )
    holdout_end: parameters.Moment | None = Field(
        None,
        description="The days from calibration_end to before this one are kept to test the model on. Default: no test.",
    )
    horizon: float = Field(
        52, gt=0, allow_inf_nan=False, description="How far ahead to look from calibration_end, in time units."
    )
    discount_rate: float = Field(
        0, ge=0, le=10, allow_inf_nan=False, description="What later money loses per time unit: 0.01 is one per cent."
    )
    discount_step: float = Field(
        1,
        gt=0,
        allow_inf_nan=False,
        description="In time units: money of each such step of the horizon is discounted as if it came at its end.",
    )
    margin: float = Field(
        1, gt=0, le=1, allow_inf_nan=False, description="The part of revenue that is earned; clv is revenue times this."
    )

    @field_validator("calibration_end")
    @classmethod
    def _learns_from_something(cls, moment: date | datetime | None, info: ValidationInfo) -> date | datetime | None:
        _later(moment, "start", info)
        return moment

    @field_validator("holdout_end")
    @classmethod
    def _tests_something(cls, moment: date | datetime | None, info: ValidationInfo) -> date | datetime | None:
        if moment is not None and "calibration_end" in info.data and info.data["calibration_end"] is None:
            raise PydanticCustomError("holdout_end", "`holdout_end` needs `calibration_end`")
        _later(moment, "calibration_end", info)
        return moment

    @field_validator("horizon")
    @classmethod
    def _foreseeable(cls, horizon: float, info: ValidationInfo) -> float:
        unit = info.data.get("time_unit")
        if unit is not None and horizon * unit.days > MAX_DAYS:
            raise PydanticCustomError("horizon", "The horizon must be at most a hundred years")
        return horizon

    @field_validator("discount_step")
    @classmethod
    def _countable(cls, step: float, info: ValidationInfo) -> float:
        horizon = info.data.get("horizon")
        if horizon is not None and math.ceil(horizon / step) > MAX_STEPS:
            raise PydanticCustomError(
                "discount_step", "The horizon must have at most {limit} discount steps", {"limit": MAX_STEPS}
            )
        return step


def _later(moment: date | datetime | None, than: str, info: ValidationInfo) -> None:
    """Refuse a moment that is not later than another parameter."""
    other, zone = info.data.get(than), info.data.get("timezone")
    if moment is None or other is None or zone is None:
        return
    if parameters.instant(moment, zone) <= parameters.instant(other, zone):
        raise PydanticCustomError("not_after", "Must be later than {name}", {"name": than})


TYPE = ReportType(
    name="clv",
    title="Customer lifetime value",
    version=2,
    definition=(
        "One row per customer whose first purchase lies before `calibration_end`. All purchases of a customer on one "
        "local day are one transaction; a purchase of nothing (amount 0) is a transaction, a refund is none. x: "
        "transactions after the first. t_x: whole days from the first transaction to the last one, T: from the first "
        "to the last day before `calibration_end`, both divided by the days of `time_unit` and not rounded; who bought "
        "on that last day has t_x = T. mean_spend: what the days after the first transaction's brought, refunds on "
        "them or placed on them taken off, divided by x; null where x = 0. The first transaction is left out, as in "
        "the literature, because it would tie spend to x. "
        "The parameters maximise the likelihood of all (x, t_x, T). p_alive: the chance of still being a customer at "
        "calibration_end, given the history; under bg_nbd nobody leaves before the second transaction, so it is 1 where "
        "x = 0. expected_orders: transactions (customer-days) expected over `horizon` "
        "after calibration_end, leaving included. expected_spend: the mean of the customer's future transactions "
        "expected under Gamma-Gamma, fitted to the customers with x >= 1 and mean_spend > 0, given x and mean_spend "
        "(0 where that is negative); a customer with x = 0 has the mean of the population. clv: margin * "
        "expected_spend * discounted orders, where the orders of each discount_step count as at its end, divided by "
        "(1 + discount_rate) per time unit. Log-likelihoods are of times in `time_unit`; standard errors come from the "
        "observed information by the delta method on the logarithms. `identified` is false where dropout does not "
        "raise twice the log-likelihood by 5.99 over customers who never leave (then its parameters and p_alive are "
        "null, and orders are predicted as if nobody left), or where a parameter's logarithm has a standard error "
        "over 2. Holdout: transactions from calibration_end to before `holdout_end` of the customers known before; "
        "mae is the mean absolute error per customer; `deciles` are tenths of customers by expected orders. "
        "`segment_by` adds columns, taken from the customer or from the first order, and splits the summary; the "
        "model is one for all."
    ),
    source=(
        "P. S. Fader, B. G. S. Hardie & K. L. Lee, 'Counting Your Customers' the Easy Way: An Alternative to the "
        "Pareto/NBD Model (Marketing Science 24, 2005), for BG/NBD; E. P. Batislam, M. Denizel & A. Filiztekin, "
        "Empirical validation and comparison of models for customer base analysis (International Journal of Research in "
        "Marketing 24, 2007), for MBG/NBD; D. C. Schmittlein, D. G. Morrison & R. Colombo, Counting Your Customers "
        "(Management Science 33, 1987), for Pareto/NBD; P. S. Fader & B. G. S. Hardie, The Gamma-Gamma Model of Monetary "
        "Value (2013), for spend."
    ),
    params=ClvParams,
    columns=(
        columns.Column("customer_id", columns.ColumnType.TEXT, "Who", key=True),
        columns.Column("x", columns.ColumnType.INTEGER, "Transactions after the first", "customer-days"),
        columns.Column("t_x", columns.ColumnType.NUMBER, "From the first transaction to the last", "time_unit"),
        columns.Column("T", columns.ColumnType.NUMBER, "From the first transaction to calibration_end", "time_unit"),
        columns.Column(
            "mean_spend",
            columns.ColumnType.NUMBER,
            "Mean of the transactions after the first; null without",
            "currency",
        ),
        columns.Column("p_alive", columns.ColumnType.NUMBER, "Chance of still being a customer", "probability"),
        columns.Column(
            "expected_orders", columns.ColumnType.NUMBER, "Transactions expected over the horizon", "customer-days"
        ),
        columns.Column("expected_spend", columns.ColumnType.NUMBER, "Expected mean of future transactions", "currency"),
        columns.Column("clv", columns.ColumnType.NUMBER, "Discounted margin expected over the horizon", "currency"),
    ),
    datasets=(("orders", "order_lines"),),
    optional_datasets=("customers", "fx_rates"),
)
