"""Header rows of exports of shops, billing and book-keeping; see `crm_exports`."""

from tests.unit.datasets.crm_exports import Export

EXPORTS = (
    Export(
        "Shopify: orders, as lines",
        "order_lines",
        "Name,Email,Financial Status,Paid at,Fulfillment Status,Fulfilled at,Accepts Marketing,Currency,Subtotal,Shipping,Taxes,"
        "Total,Discount Code,Discount Amount,Shipping Method,Created at,Lineitem quantity,Lineitem name,Lineitem price,"
        "Lineitem compare at price,Lineitem sku,Lineitem requires shipping,Lineitem taxable,Lineitem fulfillment status,"
        "Billing Name,Billing Street,Billing Address1,Billing Address2,Billing Company,Billing City,Billing Zip,Billing Province,"
        "Billing Country,Billing Phone,Shipping Name,Shipping Street,Shipping Address1,Shipping Address2,Shipping Company,"
        "Shipping City,Shipping Zip,Shipping Province,Shipping Country,Shipping Phone,Notes,Note Attributes,Cancelled at,"
        "Payment Method,Payment Reference,Refunded Amount,Vendor,Outstanding Balance,Employee,Location,Device ID,Id,Tags,"
        "Risk Level,Source,Lineitem discount,Tax 1 Name,Tax 1 Value,Phone,Receipt Number,Duties,Billing Province Name,"
        "Shipping Province Name,Payment ID,Payment Terms Name,Next Payment Due At,Payment References",
        "order_id=Name;customer_id=Email;ordered_at=Created at;product_id=Lineitem sku;product=Lineitem name;"
        "quantity=Lineitem quantity;unit_price=Lineitem price;currency=Currency",
        "Name=#1001;Email=ada@example.com;Currency=USD;Total=56.29;Created at=2026-09-03 10:14:00 -0400;Lineitem quantity=2;"
        "Lineitem name=Print;Lineitem price=16.00;Lineitem sku=FERN-1;Source=web",
    ),
    Export(
        "Shopify: customers",
        "customers",
        "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,Default Address Address1,"
        "Default Address Address2,Default Address City,Default Address Province Code,Default Address Country Code,"
        "Default Address Zip,Default Address Phone,Phone,Accepts SMS Marketing,Total Spent,Total Orders,Note,Tax Exempt,Tags",
        "customer_id=Customer ID;email=Email;phone=Phone;company=Default Address Company;city=Default Address City;"
        "country=Default Address Country Code",
        "Customer ID=9013808660771;Email=j@example.com",
    ),
    Export(
        "WooCommerce: orders",
        "orders",
        "order_id,order_number,order_date,paid_date,status,shipping_total,shipping_tax_total,fee_total,fee_tax_total,tax_total,"
        "cart_discount,order_discount,discount_total,order_total,order_subtotal,order_currency,payment_method,"
        "payment_method_title,transaction_id,customer_ip_address,shipping_method,customer_id,customer_user,customer_email,"
        "billing_first_name,billing_last_name,billing_company,billing_email,billing_phone",
        "order_id=order_id;customer_id=customer_id;ordered_at=order_date;amount=order_total;currency=order_currency",
        "order_id=12;order_date=2024-05-06 10:11:12;order_total=10.00;order_currency=GBP;customer_id=4",
    ),
    Export(
        "WooCommerce: orders, one row per item",
        "order_lines",
        "order_id,order_number,date,status,order_total,order_currency,customer_id,billing_first_name,billing_last_name,"
        "billing_email,item_id,item_product_id,item_name,item_sku,item_quantity,item_subtotal,item_subtotal_tax,item_total,"
        "item_total_tax",
        "order_id=order_id;customer_id=customer_id;ordered_at=date;product_id=item_sku;product=item_name;"
        "quantity=item_quantity;amount=item_total;currency=order_currency",
        "order_id=12;date=2024-05-06 10:11:12;order_currency=GBP;customer_id=4;item_quantity=2;item_total=10.00;item_sku=A",
    ),
    Export(
        "WooCommerce: customers",
        "customers",
        "customer_id,first_name,last_name,user_login,email,date_registered,billing_first_name,billing_last_name,billing_company,"
        "billing_email,billing_phone,billing_city,billing_country",
        "customer_id=customer_id;email=email;phone=billing_phone;company=billing_company;city=billing_city;"
        "country=billing_country;created_at=date_registered",
        "customer_id=4;email=j@example.com;date_registered=2024-01-02 10:11:12",
    ),
    Export(
        "WooCommerce: analytics, orders",
        "orders",
        "Date,Order #,Status,Customer,Customer type,Product(s),Items sold,Coupon(s),Net sales,Attribution",
        "order_id=Order #;customer_id=Customer;ordered_at=Date;amount=Net sales;channel=Attribution",
        "Date=2024-05-06 10:11:12;Order #=12;Customer=Jane Doe;Net sales=10.00",
    ),
    Export(
        "WooCommerce: analytics, customers",
        "customers",
        "Name,Username,Last active,Sign up,Email,Orders,Total spend,AOV,Country / Region,City,Region,Postal code",
        "customer_id=Email;name=Name;city=City;country=Country / Region;created_at=Sign up",
        "Name=Jane Doe;Email=j@example.com;Sign up=2024-01-02",
    ),
    Export(
        "Stripe: payments",
        "orders",
        "id,Created date (UTC),Amount,Amount Refunded,Currency,Captured,Converted Amount,Converted Amount Refunded,"
        "Converted Currency,Decline Reason,Description,Fee,Refunded date (UTC),Statement Descriptor,Status,Seller Message,"
        "Card ID,Customer ID,Customer Description,Customer Email,Invoice ID,Transfer",
        "order_id=id;customer_id=Customer ID;ordered_at=Created date (UTC);amount=Amount;currency=Currency",
        "id=ch_1;Created date (UTC)=2026-06-05 20:38:34;Amount=31.25;Amount Refunded=0.00;Currency=usd;Status=Paid;"
        "Customer ID=cus_1;Customer Email=j@example.com",
    ),
    Export(
        "Stripe: customers",
        "customers",
        "id,Description,Email,Name,Created (UTC),Delinquent,Plan,Status,Total Spend,Payment Count,Refunded Volume,Dispute Losses",
        "customer_id=id;name=Name;email=Email;created_at=Created (UTC)",
        "id=cus_1;Name=Jane Doe;Email=j@example.com;Created (UTC)=2024-01-02 10:11",
    ),
    Export(
        "Stripe: subscriptions",
        "subscriptions",
        "id,Customer ID,Customer Description,Customer Email,Plan,Product,Quantity,Currency,Interval,Amount,Status,Created (UTC),"
        "Start Date (UTC),Current Period Start (UTC),Current Period End (UTC),Trial Start (UTC),Trial End (UTC),"
        "Canceled At (UTC),Ended At (UTC)",
        "subscription_id=id;started_on=Start Date (UTC);ended_on=Ended At (UTC);customer_id=Customer ID;plan=Plan;mrr=Amount;"
        "currency=Currency",
        "id=sub_1;Customer ID=cus_1;Plan=price_1;Currency=usd;Interval=month;Amount=9.00;Status=active;"
        "Start Date (UTC)=2024-01-02 10:11;Created (UTC)=2024-01-02 10:11;Ended At (UTC)=2024-03-04 10:11",
    ),
    Export(
        "Stripe: invoices",
        "orders",
        "id,Amount Due,Billing,Closed,Currency,Customer,Customer Email,Date (UTC),Due Date (UTC),Number,Paid,Subscription,Subtotal,"
        "Total,Total Tax,Status",
        "order_id=id;customer_id=Customer;ordered_at=Date (UTC);amount=Total;currency=Currency",
        "id=in_1;Currency=usd;Customer=cus_1;Date (UTC)=2024-01-02 10:11;Total=10.00;Subtotal=10.00;Amount Due=10.00;Number=A-1",
    ),
    Export(
        "Xero: sales invoices",
        "order_lines",
        "*ContactName,EmailAddress,POAddressLine1,POCity,PORegion,POPostalCode,POCountry,*InvoiceNumber,Reference,*InvoiceDate,"
        "*DueDate,Total,TaxTotal,InvoiceAmountPaid,InvoiceAmountDue,InventoryItemCode,*Description,*Quantity,*UnitAmount,Discount,"
        "LineAmount,*AccountCode,*TaxType,TaxAmount,Currency,Type,Sent,Status",
        "order_id=*InvoiceNumber;customer_id=*ContactName;ordered_at=*InvoiceDate;product_id=InventoryItemCode;"
        "product=*Description;quantity=*Quantity;unit_price=*UnitAmount;amount=LineAmount;currency=Currency",
        "*ContactName=Acme;*InvoiceNumber=INV-1;*InvoiceDate=2024-05-06;*Quantity=1;*UnitAmount=10.00;LineAmount=10.00;"
        "Currency=NZD",
    ),
    Export(
        "QuickBooks Online: invoice list",
        "orders",
        "Date,Transaction type,Num,Name,Memo/Description,Due date,Amount,Open balance",
        "order_id=Num;customer_id=Name;ordered_at=Date;amount=Amount",
        "Date=2024-05-06;Num=1001;Name=Acme;Amount=10.00",
    ),
    Export(
        "QuickBooks Online: sales by customer detail",
        "order_lines",
        "Customer full name,Date,Transaction type,Num,Product/Service full name,Memo/Description,Quantity,Sales price,Amount,"
        "Balance",
        "order_id=Num;customer_id=Customer full name;ordered_at=Date;product=Product/Service full name;quantity=Quantity;"
        "unit_price=Sales price;amount=Amount",
        "Date=2024-05-06;Num=1001;Customer full name=Acme;Quantity=1;Sales price=10.00;Amount=10.00",
    ),
)
