"""What `churn_survival` is: how long customers stay, estimated with those who have not left yet."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import clv, columns, parameters
from analytics.catalogue.filters import ColumnName
from analytics.catalogue.report_type import Needs, ReportType


class Mode(StrEnum):
    """Whether anybody says so who leaves."""

    CONTRACTUAL = "contractual"
    NON_CONTRACTUAL = "non_contractual"


class Dataset(StrEnum):
    """Whose lifetimes are looked at."""

    SUBSCRIPTIONS = "subscriptions"
    CUSTOMERS = "customers"
    ORDERS = "orders"


class AtRiskBy(StrEnum):
    """Who comes first in the at-risk list of customers without contracts."""

    SILENCE = "silence"
    VALUE = "value"


class Interval(StrEnum):
    """How the interval around a curve is made."""

    LOGLOG = "loglog"
    LOG = "log"


EventValue = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ChurnSurvivalParams(parameters.ReportParams):
    """Parameters of `churn_survival`."""

    mode: Mode | None = Field(
        None,
        description="contractual: lifetimes whose end is known; non_contractual: orders only, so that who has left is "
        "estimated. Default: non_contractual of the dataset orders, else contractual.",
    )
    dataset: Dataset | None = Field(
        None,
        description="The rows to read. Default: orders (or order_lines) without contracts; customers with `duration` or "
        "`started`, else subscriptions.",
    )
    duration: ColumnName | None = Field(
        None, description="Column with how long each has stayed so far, a number in whatever unit; goes with `event`."
    )
    event: ColumnName | None = Field(
        None,
        validate_default=True,
        description="Column that says whether that ended in leaving: yes or no, true or false, 1 or 0, or `event_values`.",
    )
    event_values: tuple[EventValue, ...] = Field(
        (),
        max_length=50,
        description="Values of `event` that mean leaving, whatever their case; all others mean staying.",
    )
    started: ColumnName | None = Field(
        None, description="Column with the first day. Default for subscriptions: started_on."
    )
    ended: ColumnName | None = Field(
        None,
        validate_default=True,
        description="Column with the day after the last, empty while it runs. Default for subscriptions: ended_on.",
    )
    time_unit: clv.TimeUnit | None = Field(
        None,
        description="Completed units that lifetimes between dates are counted in; `duration` keeps its own. "
        "Default: day; week without contracts, where months are 30.4375 days and years 365.25.",
    )
    grace_days: int = Field(
        0, ge=0, le=3_650, description="A subscription that follows within so many days continues the one before."
    )
    group_by: ColumnName | None = Field(
        None, description="A column of the rows or of `customers`: a curve for each value."
    )
    confidence: float = Field(0.95, gt=0.0, lt=1.0, description="Coverage of the intervals.")
    interval: Interval = Field(
        Interval.LOGLOG, description="loglog: on the scale of log(-log S), never outside 0 to 1; log: on that of log S."
    )
    horizon: float | None = Field(
        None,
        gt=0.0,
        le=100_000.0,
        description="How many units ahead the at-risk list looks. Default: 30 days, 4 weeks, 1 month, 1 year; 1 of `duration`.",
    )
    at_risk_size: int = Field(50, ge=0, le=1_000, description="How many customers the at-risk list names.")
    model: clv.Model = Field(
        clv.Model.BG_NBD,
        description="Without contracts: when customers buy and leave, as in `clv`. Under bg_nbd nobody leaves before the "
        "second transaction; mbg_nbd and pareto_nbd let those leave too who bought once.",
    )
    at_risk_by: AtRiskBy = Field(
        AtRiskBy.SILENCE,
        description="Without contracts: silence lists those first whose silence would be least likely of a customer who "
        "stayed; value those whose leaving would cost most revenue over the horizon.",
    )
    lost_below: float = Field(
        0.5,
        ge=0.0,
        le=1.0,
        description="Without contracts: a customer with a smaller p_alive counts as likely lost and is not in the at-risk "
        "list.",
    )

    @property
    def without_contracts(self) -> bool:
        """Whether who has left is estimated from orders."""
        return self.mode is Mode.NON_CONTRACTUAL or self.dataset is Dataset.ORDERS

    @property
    def unit(self) -> clv.TimeUnit:
        """What lifetimes between dates are counted in."""
        if self.time_unit is not None:
            return self.time_unit
        return clv.TimeUnit.WEEK if self.without_contracts else clv.TimeUnit.DAY

    @property
    def reads(self) -> Dataset:
        """The dataset whose rows are looked at."""
        if self.without_contracts:
            return Dataset.ORDERS
        if self.dataset is not None:
            return self.dataset
        return Dataset.SUBSCRIPTIONS if self.duration is None and self.started is None else Dataset.CUSTOMERS

    @field_validator("dataset")
    @classmethod
    def _dataset_of_mode(cls, dataset: Dataset | None, info: ValidationInfo) -> Dataset | None:
        mode = info.data.get("mode")
        if dataset is not None and mode is not None and (dataset is Dataset.ORDERS) != (mode is Mode.NON_CONTRACTUAL):
            raise PydanticCustomError(
                "dataset_of_mode", "{mode} does not read {dataset}", {"mode": str(mode), "dataset": str(dataset)}
            )
        return dataset

    @field_validator("duration", "event", "event_values", "started", "ended", "grace_days")
    @classmethod
    def _of_contracts(cls, given: Any, info: ValidationInfo) -> Any:
        if given and _without_contracts(info):
            raise PydanticCustomError("only_contractual", "Orders have no contracts that begin or end")
        return given

    @field_validator("model", "at_risk_by", "lost_below")
    @classmethod
    def _of_orders(cls, given: Any, info: ValidationInfo) -> Any:
        usual = cls.model_fields[str(info.field_name)].default
        if given != usual and "dataset" in info.data and not _without_contracts(info):
            raise PydanticCustomError("only_non_contractual", "Goes with mode non_contractual")
        return given

    @field_validator("horizon")
    @classmethod
    def _foreseeable(cls, horizon: float | None, info: ValidationInfo) -> float | None:
        unit = info.data.get("time_unit") or clv.TimeUnit.WEEK
        if horizon is not None and _without_contracts(info) and horizon * unit.days > clv.MAX_DAYS:
            raise PydanticCustomError("horizon", "The horizon must be at most a hundred years")
        return horizon

    @field_validator("event", "ended")
    @classmethod
    def _both_or_neither(cls, name: str | None, info: ValidationInfo) -> str | None:
        partner = {"event": "duration", "ended": "started"}[str(info.field_name)]
        if partner in info.data and (name is None) != (info.data[partner] is None):
            raise PydanticCustomError(
                "columns_together", "{one} and {other} go together", {"one": partner, "other": str(info.field_name)}
            )
        if info.field_name == "ended" and name is not None and info.data.get("duration") is not None:
            raise PydanticCustomError("one_source", "Give either duration and event, or started and ended")
        return name

    @field_validator("duration")
    @classmethod
    def _durations_have_no_dates(cls, name: str | None, info: ValidationInfo) -> Any:
        given = [bound for bound in ("start", "end", "as_of") if info.data.get(bound) is not None]
        if name is not None and given:
            raise PydanticCustomError(
                "no_dates", "Durations have no dates to bound by {bound}; give started and ended", {"bound": given[0]}
            )
        return name


def _without_contracts(info: ValidationInfo) -> bool:
    return info.data.get("mode") is Mode.NON_CONTRACTUAL or info.data.get("dataset") is Dataset.ORDERS


def _needs(params: ChurnSurvivalParams) -> Needs:
    if params.without_contracts:
        return Needs(clv.TYPE.datasets, clv.TYPE.optional_datasets)
    others = ("customers",) if params.reads is Dataset.SUBSCRIPTIONS else ()
    return Needs(((str(params.reads),),), others)


TYPE = ReportType(
    name="churn_survival",
    title="Churn and survival",
    version=2,
    definition=(
        "Contractual. How long customers stay, by the Kaplan-Meier estimate, in which those who have not left yet (censored) count "
        "for as long as they have been seen. Lifetimes are the numbers in `duration`, which ended in leaving where "
        "`event` says so; or they lie between two dates. By default a lifetime is a customer's first unbroken stretch "
        "of subscriptions: overlapping and adjoining ones, and those that follow within `grace_days`, are one. It ended "
        "in leaving where its end plus the grace lies before the day of as_of; otherwise it is censored, at its end or "
        "at as_of. Later stretches of who came back are not counted again. With `started` and `ended` each row is a "
        "lifetime. Dates count in completed units of `time_unit`. `start` and `end` choose lifetimes by the day they "
        "begin on, and as_of, by default the day after the last beginning, is until when they were seen. Per group "
        "and time t: at_risk = lifetimes that reach t; events and censored = those of them that end or are last seen at t; "
        "survival S(t) = product over times up to t of (1 - events / at_risk), who is censored at t having survived t. "
        "std_err is Greenwood's: S(t) x sqrt(sum of events / (at_risk x (at_risk - events))); lower and upper are its "
        "interval at `confidence` on the scale of `interval`; without a spread they are S(t), and null where S(t) is 0. "
        "median: the least t with S(t) <= 0.5, null where the curve does not come down to it; its interval is where "
        "lower and upper cross 0.5. logrank tests that all groups have the same curve, within strata of `segment_by`, "
        "which also splits the rows. The at-risk list has the present customers most likely to leave within `horizon`, "
        "by 1 - S(t + horizon) / S(t) of their group at their age t, where the curve reaches that far; expected_losses "
        "is the sum over all of them. Lifetimes of 0 count and are warned of; negative or unreadable ones are left out. "
        "Non-contractual. Nobody says so who stops ordering, so leaving is estimated: `model` is fitted to x, t_x and T of "
        "all customers as in `clv` (one model for all groups; the same p_alive, the same refusal under 50 who came back), "
        "and every customer is counted in expectation. A lifetime begins with the first transaction. With the chance "
        "1 - p_alive it ended: at the last transaction under bg_nbd and mbg_nbd, in which customers leave only then; "
        "under pareto_nbd between the last transaction and as_of, when the model says. With the chance p_alive it goes "
        "on, and is censored at T. Sums of these chances over the customers of a group, per completed unit t, are "
        "events and censored, so neither is a whole number; all of them together are the customers, and those censored "
        "together are the customers expected to be left (present). at_risk and survival follow from them as above. "
        "std_err is that of multiple imputation with endlessly many draws, by the delta method: to Greenwood's variance "
        "of log S are added that of who has left and when, given the model, and that of the model's parameters. Where "
        "dropout cannot be told from none there is no curve, as `clv` has no p_alive. present_at_horizon: those "
        "expected to be left after `horizon` more; expected_losses: present less these; likely_lost: customers with "
        "p_alive below `lost_below`. The at-risk list has the others. chance_of_silence: how likely a customer with "
        "x transactions up to t_x, who did not leave, buys nothing until T, ((alpha + t_x) / (alpha + T)) ^ (r + x) in "
        "all three models; at_stake: 1 - p_alive times the orders, by value the revenue (Gamma-Gamma as in `clv`), "
        "expected over the horizon of the customer if not lost."
    ),
    source=(
        "E. L. Kaplan & P. Meier, Nonparametric Estimation from Incomplete Observations (JASA 53, 1958); M. Greenwood "
        "(1926) for the variance; J. D. Kalbfleisch & R. L. Prentice, The Statistical Analysis of Failure Time Data "
        "(1980), for log-log intervals; R. Brookmeyer & J. Crowley (Biometrics 38, 1982) for that of the median; "
        "N. Mantel (1966) and R. Peto & J. Peto (1972) for the log-rank test. Without contracts: the papers of `clv`; "
        "P. S. Fader & B. G. S. Hardie, Probability Models for Customer-Base Analysis (Journal of Interactive Marketing "
        "23, 2009), for lifetimes that end unobserved; B. Efron, The Two Sample Problem with Censored Data (1967), for "
        "counting them in expectation; D. B. Rubin, Multiple Imputation for Nonresponse in Surveys (1987), for the "
        "variance."
    ),
    params=ChurnSurvivalParams,
    columns=(
        columns.Column("group", columns.ColumnType.TEXT, "Value of `group_by`; all without it", key=True),
        columns.Column("t", columns.ColumnType.NUMBER, "Time since the beginning", "time_unit", key=True),
        columns.Column(
            "at_risk",
            columns.ColumnType.INTEGER,
            "Lifetimes that reach t; expected ones without contracts",
            "lifetimes",
        ),
        columns.Column("events", columns.ColumnType.INTEGER, "Of these, ended in leaving at t", "lifetimes"),
        columns.Column("censored", columns.ColumnType.INTEGER, "Of these, last seen at t", "lifetimes"),
        columns.Column("survival", columns.ColumnType.NUMBER, "Chance to stay beyond t", "ratio"),
        columns.Column("std_err", columns.ColumnType.NUMBER, "Greenwood's standard error of survival", "ratio"),
        columns.Column("lower", columns.ColumnType.NUMBER, "Lower end of the interval", "ratio"),
        columns.Column("upper", columns.ColumnType.NUMBER, "Upper end of the interval", "ratio"),
    ),
    datasets=(("subscriptions", "customers", "orders", "order_lines"),),
    optional_datasets=("customers", "fx_rates"),
    needs_of=_needs,
)
