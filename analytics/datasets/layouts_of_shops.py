"""Exports of shops, billing and book-keeping: Shopify, WooCommerce, Stripe, Xero and QuickBooks."""

from analytics.datasets import layout

# Of a Shopify order, what holds for all its lines. Its sums are left on its first line, where adding them up stays right.
_SHOPIFY_ORDER = (
    "email phone financialstatus paidat fulfillmentstatus fulfilledat acceptsmarketing currency discountcode "
    "shippingmethod createdat billingname billingstreet billingaddress1 billingaddress2 billingcompany billingcity "
    "billingzip billingprovince billingprovincename billingcountry billingphone shippingname shippingstreet "
    "shippingaddress1 shippingaddress2 shippingcompany shippingcity shippingzip shippingprovince "
    "shippingprovincename shippingcountry shippingphone notes noteattributes cancelledat paymentmethod "
    "paymentreference paymentid paymenttermsname employee location deviceid id tags risklevel source receiptnumber"
)
_SHOPIFY_SUMS = "subtotal shipping taxes total discountamount refundedamount outstandingbalance"
_GIVEN_BACK = "import that as orders of its own, with negative amounts."
_SHOPIFY_CANCELLED = (
    "Orders that were cancelled, voided or refunded are in the export, too, and count as full sales. Leave out those with "
    "the Financial Status voided or refunded, or with a time in Cancelled at: when exporting, or in reports with a filter "
    "(`financial_status` not_in voided, refunded; `cancelled_at` is_null). Refunded Amount is not taken off; of the others, "
    f"which are partially_refunded, {_GIVEN_BACK}"
)
_WOOCOMMERCE_CANCELLED = (
    "Orders that are cancelled, failed, refunded or not yet paid are in the export, too, and count as full sales. Export "
    "completed ones, or leave the others out of reports with a filter (`status`)."
)
_WOOCOMMERCE_GUESTS = (
    "Guests have the customer id 0; map `customer_id` to the billing e-mail if guests are to count as customers."
)
_STRIPE_FAILED = (
    "Payments that failed or were refunded are in the export, too, and count as full sales. Export with the filter "
    "Status = Succeeded, and leave out what has the Status Failed or Refunded all the same in reports with a filter "
    f"(`status`). Amount Refunded is not taken off; of the others, which were refunded in part, {_GIVEN_BACK}"
)
_STRIPE_VOID = (
    "Invoices that are drafts, void or uncollectible are in the export, too, and count as full sales. Export with the filter "
    "Status = Paid, or leave the others out of reports with a filter (`status`)."
)
_STRIPE_INTERVAL = (
    "Amount is the price of one Interval. Where some subscriptions are paid by the year, export them apart and divide."
)

LAYOUTS = (
    layout.known(
        "Shopify: orders, as lines",
        "order_lines",
        "name email financialstatus lineitemquantity lineitemname lineitemprice",
        "order_id<name,orderid line_no< customer_id<customerid,email ordered_at<createdat product_id<lineitemsku "
        "product<lineitemname quantity<lineitemquantity unit_price<lineitemprice amount< currency<currency kind<",
        group="name",
        carried=_SHOPIFY_ORDER,
        advice=_SHOPIFY_CANCELLED,
    ),
    layout.known(
        "Shopify: orders, as orders",
        "orders",
        "name email financialstatus lineitemquantity lineitemname",
        "order_id<name,orderid customer_id<customerid,email ordered_at<createdat amount<total currency<currency "
        "kind< channel<source",
        group="name",
        carried=f"{_SHOPIFY_ORDER} {_SHOPIFY_SUMS}",
        advice=_SHOPIFY_CANCELLED,
    ),
    layout.known(
        "Shopify: customers",
        "customers",
        "customerid firstname lastname email totalspent totalorders",
        "customer_id<customerid name< email<email phone<phone,defaultaddressphone "
        "company<defaultaddresscompany,company city<defaultaddresscity,city "
        "country<defaultaddresscountrycode,countrycode segment< source< owner< created_at<",
        advice="Orders name customers by e-mail address. Map `customer_id` to Email if orders of this shop are imported.",
    ),
    layout.known(
        "WooCommerce: orders, one row per item",
        "order_lines",
        "orderid status ordercurrency itemname itemquantity itemtotal",
        "order_id<orderid line_no< customer_id<customerid,billingemail,customeremail ordered_at<date,orderdate "
        "product_id<itemsku,itemproductid,itemid product<itemname quantity<itemquantity unit_price< "
        "amount<itemtotal currency<ordercurrency kind<",
        advice=f"{_WOOCOMMERCE_CANCELLED} {_WOOCOMMERCE_GUESTS}",
    ),
    layout.known(
        "WooCommerce: orders",
        "orders",
        "orderid ordernumber status ordertotal ordercurrency",
        "order_id<orderid customer_id<customerid,customeremail,billingemail ordered_at<orderdate,date "
        "amount<ordertotal currency<ordercurrency kind< channel<createdvia",
        advice=f"{_WOOCOMMERCE_CANCELLED} {_WOOCOMMERCE_GUESTS}",
    ),
    layout.known(
        "WooCommerce: analytics, orders",
        "orders",
        "date order status customer customertype itemssold",
        "order_id<order customer_id<customer ordered_at<date amount<netsales,nrevenue kind< channel<attribution",
        advice="The export names customers by their names, which more than one may have. Prefer an export with customer ids.",
    ),
    layout.known(
        "WooCommerce: customers",
        "customers",
        "customerid billingfirstname billinglastname email",
        "customer_id<customerid name< email<email,billingemail phone<billingphone company<billingcompany "
        "city<billingcity country<billingcountry created_at<dateregistered",
    ),
    layout.known(
        "WooCommerce: analytics, customers",
        "customers",
        "name username lastactive email totalspend aov",
        "customer_id<email name<name email<email city<city country<countryregion created_at<signup,dateregistered",
    ),
    layout.known(
        "Stripe: payments",
        "orders",
        "id amount amountrefunded currency status",
        "order_id<id customer_id<customerid,customer,customeremail ordered_at<createddateutc,createdutc,created "
        "amount<amount currency<currency kind< channel<",
        advice=_STRIPE_FAILED,
    ),
    layout.known(
        "Stripe: customers",
        "customers",
        "id email name delinquent",
        "customer_id<id name<name email<email phone<phone city<addresscity country<addresscountry,cardaddresscountry "
        "segment< company< created_at<createdutc,created",
    ),
    layout.known(
        "Stripe: subscriptions",
        "subscriptions",
        "id customerid plan interval amount status",
        "subscription_id<id started_on<startutc,startdateutc,createdutc ended_on<endedatutc,canceledatutc "
        "customer_id<customerid plan<plan,productname mrr<amount currency<currency",
        advice=_STRIPE_INTERVAL,
    ),
    layout.known(
        "Stripe: invoices",
        "orders",
        "id amountdue customer number subtotal total",
        "order_id<id customer_id<customer,customerid ordered_at<dateutc,createdutc,created amount<total "
        "currency<currency kind< channel<",
        advice=_STRIPE_VOID,
    ),
    layout.known(
        "Xero: sales invoices",
        "order_lines",
        "contactname invoicenumber invoicedate quantity unitamount",
        "order_id<invoicenumber line_no< customer_id<contactname ordered_at<invoicedate product_id<inventoryitemcode "
        "product<description quantity<quantity unit_price<unitamount amount<lineamount currency<currency kind<",
        advice="Xero names customers by their contact names, which are unique there.",
    ),
    layout.known(
        "QuickBooks Online: invoice list",
        "orders",
        "date transactiontype num name amount",
        "order_id<num customer_id<name ordered_at<date amount<amount currency<currency kind< channel<",
        advice="QuickBooks names customers by their display names, which are unique there.",
    ),
    layout.known(
        "QuickBooks Online: sales by customer detail",
        "order_lines",
        "date transactiontype num quantity salesprice amount",
        "order_id<num line_no< customer_id<customer,customerfullname,name ordered_at<date "
        "product_id<sku product<productservice,productservicefullname quantity<quantity unit_price<salesprice "
        "amount<amount currency<currency kind<",
    ),
)
