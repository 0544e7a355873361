"""What `churn_survival` is: how long customers stay, estimated with those who have not left yet."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import columns, parameters
from analytics.catalogue.filters import ColumnName
from analytics.catalogue.report_type import Needs, ReportType


class Dataset(StrEnum):
    """Whose lifetimes are looked at."""

    SUBSCRIPTIONS = "subscriptions"
    CUSTOMERS = "customers"


class TimeUnit(StrEnum):
    """What lifetimes between dates are counted in."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Interval(StrEnum):
    """How the interval around a curve is made."""

    LOGLOG = "loglog"
    LOG = "log"


EventValue = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ChurnSurvivalParams(parameters.ReportParams):
    """Parameters of `churn_survival`."""

    dataset: Dataset | None = Field(
        None, description="The rows to read. Default: customers with `duration` or `started`, else subscriptions."
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
    time_unit: TimeUnit = Field(
        TimeUnit.DAY,
        description="Completed units that lifetimes between dates are counted in; `duration` keeps its own.",
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

    @property
    def reads(self) -> Dataset:
        """The dataset whose rows are looked at."""
        if self.dataset is not None:
            return self.dataset
        return Dataset.SUBSCRIPTIONS if self.duration is None and self.started is None else Dataset.CUSTOMERS

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


def _needs(params: ChurnSurvivalParams) -> Needs:
    others = ("customers",) if params.reads is Dataset.SUBSCRIPTIONS else ()
    return Needs(((str(params.reads),),), others)


TYPE = ReportType(
    name="churn_survival",
    title="Churn and survival",
    version=1,
    definition=(
        "How long customers stay, by the Kaplan-Meier estimate, in which those who have not left yet (censored) count "
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
        "is the sum over all of them. Lifetimes of 0 count and are warned of; negative or unreadable ones are left out."
    ),
    source=(
        "E. L. Kaplan & P. Meier, Nonparametric Estimation from Incomplete Observations (JASA 53, 1958); M. Greenwood "
        "(1926) for the variance; J. D. Kalbfleisch & R. L. Prentice, The Statistical Analysis of Failure Time Data "
        "(1980), for log-log intervals; R. Brookmeyer & J. Crowley (Biometrics 38, 1982) for that of the median; "
        "N. Mantel (1966) and R. Peto & J. Peto (1972) for the log-rank test."
    ),
    params=ChurnSurvivalParams,
    columns=(
        columns.Column("group", columns.ColumnType.TEXT, "Value of `group_by`; all without it", key=True),
        columns.Column("t", columns.ColumnType.NUMBER, "Time since the beginning", "time_unit", key=True),
        columns.Column("at_risk", columns.ColumnType.INTEGER, "Lifetimes that reach t", "lifetimes"),
        columns.Column("events", columns.ColumnType.INTEGER, "Of these, ended in leaving at t", "lifetimes"),
        columns.Column("censored", columns.ColumnType.INTEGER, "Of these, last seen at t", "lifetimes"),
        columns.Column("survival", columns.ColumnType.NUMBER, "Chance to stay beyond t", "ratio"),
        columns.Column("std_err", columns.ColumnType.NUMBER, "Greenwood's standard error of survival", "ratio"),
        columns.Column("lower", columns.ColumnType.NUMBER, "Lower end of the interval", "ratio"),
        columns.Column("upper", columns.ColumnType.NUMBER, "Upper end of the interval", "ratio"),
    ),
    datasets=(("subscriptions", "customers"),),
    optional_datasets=("customers",),
    needs_of=_needs,
)
