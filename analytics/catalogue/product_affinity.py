"""What `product_affinity` is: which products are bought together more often than chance would have it."""

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from analytics.catalogue import columns, parameters
from analytics.catalogue.filters import ColumnName
from analytics.catalogue.report_type import ReportType


class ProductAffinityParams(parameters.ReportParams):
    """Parameters of `product_affinity`."""

    min_support: float = Field(0.001, gt=0.0, le=1.0, description="The least share of baskets a rule's items are in.")
    min_confidence: float = Field(
        0.1, ge=0.0, le=1.0, description="The least share of the antecedent's baskets that have the consequent too."
    )
    max_length: int = Field(2, ge=2, le=10, description="The most items in a rule, both sides together.")
    consequent_length: int = Field(
        1, ge=1, le=9, validate_default=True, description="The most items in a consequent; less than max_length."
    )
    item: ColumnName = Field("product_id", description="The column of order_lines that says what was bought.")
    basket: ColumnName = Field("order_id", description="The column of order_lines that says what belongs together.")

    @field_validator("consequent_length")
    @classmethod
    def _leaves_an_antecedent(cls, length: int, info: ValidationInfo) -> int:
        longest = info.data.get("max_length")
        if longest is not None and length >= longest:
            raise PydanticCustomError(
                "consequent_length", "Must be less than max_length, {length}", {"length": longest}
            )
        return length


TYPE = ReportType(
    name="product_affinity",
    title="Product affinity",
    version=1,
    definition=(
        "A basket is the set of distinct items on the order lines with one value of `basket`; quantities do not matter, "
        "and refunds and lines whose quantity is not above zero are no purchases. A rule A -> C says that baskets with "
        "all items of A also have those of C. count: baskets with all items of both; with N the number of baskets, "
        "a and c those of A and of C: support = count / N; confidence = count / a; lift = confidence / (c / N), 1 where "
        "A and C are independent; leverage = support - (a / N) x (c / N); conviction = (1 - c / N) / (1 - confidence), "
        "null where confidence is 1; zhang = leverage / max(support x (1 - a / N), (a / N) x (c / N - support)), from -1 "
        "(never together) to 1, null where that maximum is 0. There is a row for every rule of at most `max_length` "
        "items, at most `consequent_length` of them in C and at least one in A, with count >= `min_support` x N and "
        "count >= `min_confidence` x a, decided in whole numbers; best lift first, then count, then the names. Both "
        "sides list their items by name, separated by comma and space; a name with a comma or a quotation mark is in "
        "quotation marks. Lines without item or basket are left out. Lines without a date count, unless start, end or "
        "as_of ask for dates. `filter` chooses lines before baskets are made; `segment_by` makes baskets, N and rules "
        "within each segment, so that an order with lines in two segments is a basket in both. More frequent sets than "
        "the report can hold are refused, with what to raise. `currency` and `refunds` do not apply."
    ),
    source=(
        "R. Agrawal, T. Imielinski & A. Swami, Mining Association Rules between Sets of Items in Large Databases (SIGMOD "
        "1993), for support and confidence; S. Brin et al. (SIGMOD 1997) for lift and conviction; G. Piatetsky-Shapiro "
        "(1991) for leverage; T. Zhang, Association Rules (PAKDD 2000); conditional counting as in LCM, T. Uno et al. "
        "(FIMI 2004)."
    ),
    params=ProductAffinityParams,
    columns=(
        columns.Column("antecedent", columns.ColumnType.TEXT, "Items one starts from", key=True),
        columns.Column("consequent", columns.ColumnType.TEXT, "Items that go with them", key=True),
        columns.Column("count", columns.ColumnType.INTEGER, "Baskets with all of them", "baskets"),
        columns.Column("support", columns.ColumnType.NUMBER, "Share of all baskets with all of them", "ratio"),
        columns.Column("confidence", columns.ColumnType.NUMBER, "Share of the antecedent's baskets", "ratio"),
        columns.Column("lift", columns.ColumnType.NUMBER, "Confidence over the consequent's own share", "ratio"),
        columns.Column("leverage", columns.ColumnType.NUMBER, "Support beyond that of independence", "ratio"),
        columns.Column("conviction", columns.ColumnType.NUMBER, "How much rarer misses are than by chance", "ratio"),
        columns.Column("zhang", columns.ColumnType.NUMBER, "Association from -1 to 1", "score"),
        columns.Column("antecedent_count", columns.ColumnType.INTEGER, "Baskets with the antecedent", "baskets"),
        columns.Column("consequent_count", columns.ColumnType.INTEGER, "Baskets with the consequent", "baskets"),
    ),
    datasets=(("order_lines",),),
    optional_datasets=("customers", "orders"),
)
