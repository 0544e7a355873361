"""Names that shops, CRMs and billing systems give to our columns, normalised: lower case, letters and digits only.

Sources: exports of Shopify, WooCommerce, Stripe, Salesforce, HubSpot and Pipedrive, and the public data sets of the field.
"""

from collections.abc import Mapping

CUSTOMER_ID = (
    "customerid customer custid clientid accountid accountname account contactid memberid userid "
    "buyerid shopperid companyid"
)
ORDER_ID = (
    "orderid order ordernumber orderno invoiceno invoice invoiceid invoicenumber transactionid receiptid salesorderid"
)
ORDERED_AT = (
    "orderedat orderdate invoicedate purchasedate purchasedat transactiondate saledate createdat orderplacedat processedat "
    "datetime timestamp date paidat completedat created"
)
CURRENCY = "currency currencycode currencyisocode dealcurrency isocurrency"
OWNER = (
    "owner ownername accountowner dealowner opportunityowner contactowner leadowner salesagent salesrep "
    "salesperson agent assignedto ownerid"
)
SOURCE = (
    "source leadsource originalsource utmsource trafficsource acquisitionsource hsanalyticssource originalsourcetype"
)
CREATED_AT = (
    "createdat createddate createdate creationdate datecreated created createdon addtime signupdate "
    "registeredat opendate engagedate"
)

# For each dataset and column: the usual names, best first.
ALIASES: Mapping[str, Mapping[str, str]] = {
    "customers": {
        "customer_id": CUSTOMER_ID + " id recordid contact uuid",
        "name": "name fullname customername contactname displayname clientname",
        "email": "email emailaddress mail emailid contactemail customeremail",
        "phone": "phone phonenumber telephone mobile mobilephone tel contactphone",
        "company": "company companyname organization organisation organizationname accountname",
        "city": "city town billingcity mailingcity defaultaddresscity suburb",
        "country": "country countrycode billingcountry mailingcountry countryregion defaultaddresscountrycode officelocation",
        "segment": "segment customersegment tier industry sector customertype",
        "source": SOURCE,
        "owner": OWNER,
        "created_at": CREATED_AT + " customersince becameacustomerdate",
    },
    "orders": {
        "order_id": ORDER_ID + " id name",
        "customer_id": CUSTOMER_ID + " email customeremail billingemail",
        "ordered_at": ORDERED_AT,
        "amount": "amount total ordertotal totalprice totalamount grandtotal revenue value sales price netamount ordervalue "
        "usd eur gbp",
        "currency": CURRENCY,
        "kind": "kind",
        "channel": "channel saleschannel orderchannel sourcename",
    },
    "order_lines": {
        "order_id": ORDER_ID + " basketid name",
        "line_no": "lineno linenumber line itemno itemnumber lineitemnumber position",
        "customer_id": CUSTOMER_ID + " email customeremail billingemail",
        "ordered_at": ORDERED_AT,
        "product_id": "productid sku stockcode itemid productcode articleid lineitemsku variantid asin",
        "product": "product productname description item itemname lineitemname title article productdescription",
        "quantity": "quantity qty units lineitemquantity count amountordered",
        "unit_price": "unitprice price itemprice priceeach lineitemprice unitcost",
        "amount": "amount linetotal lineamount totalprice total netamount revenue sales subtotal",
        "currency": CURRENCY,
        "kind": "kind",
    },
    "deals": {
        "deal_id": "dealid opportunityid opportunitynumber recordid id",
        "customer_id": CUSTOMER_ID + " associatedcompany associatedcompanyids organization organizationname",
        "name": "name dealname opportunityname opportunity title deal",
        "pipeline": "pipeline pipelinename salesprocess",
        "stage": "stage dealstage stagename opportunitystage pipelinestage",
        "owner": OWNER,
        "team": "team salesteam hubspotteam",
        "region": "region regionaloffice territory",
        "product": "product productname productfamily productline",
        "source": SOURCE,
        "amount": "amount dealamount closevalue value dealvalue opportunityamount amountincompanycurrency totalvalue",
        "list_amount": "listamount listprice salesprice listvalue",
        "currency": CURRENCY,
        "probability": "probability dealprobability winprobability",
        "created_at": CREATED_AT,
        "expected_close_on": "expectedcloseon expectedclosedate forecastclosedate expectedclose targetclosedate",
        "closed_at": "closedat closedate closeddate dateclosed closedon wontime actualclosedate",
        "status": "status dealstatus opportunitystatus",
        "lost_reason": "lostreason closedlostreason reasonlost lossreason reasonforloss",
    },
    "deal_stages": {
        "deal_id": "dealid opportunityid opportunity deal recordid",
        "stage": "stage stagename dealstage tostage newvalue newstage",
        "entered_at": "enteredat entereddate enteredon changedat changedate createddate createdat timestamp datetime date editdate",
    },
    "leads": {
        "lead_id": "leadid prospectid contactid recordid id",
        "source": SOURCE,
        "campaign": "campaign campaignname utmcampaign leadcampaign",
        "owner": OWNER,
        "created_at": CREATED_AT,
        "converted_at": "convertedat converteddate conversiondate dateconverted becameacustomerdate",
        "customer_id": "customerid convertedaccountid convertedcontactid accountid",
    },
    "touches": {
        "touch_id": "touchid touchpointid eventid interactionid visitid sessionid id",
        "person_id": "personid userid visitorid contactid customerid cookie leadid clientid email",
        "channel": "channel touchchannel marketingchannel medium utmmedium channelgroup defaultchannelgrouping",
        "campaign": "campaign campaignname utmcampaign",
        "occurred_at": "occurredat timestamp time datetime date eventtime touchdate touchedat visitedat createdat",
    },
    "activities": {
        "activity_id": "activityid taskid eventid engagementid id recordid",
        "customer_id": CUSTOMER_ID,
        "deal_id": "dealid opportunityid relatedtoid whatid deal",
        "owner": OWNER,
        "kind": "kind type activitytype engagementtype tasktype",
        "occurred_at": "occurredat activitydate date timestamp datetime duedate completedat createdat createdate",
    },
    "subscriptions": {
        "subscription_id": "subscriptionid subscription subid id",
        "started_on": "startedon startdate startedat start currentperiodstart periodstart activatedat",
        "ended_on": "endedon enddate endedat end canceledat cancelledat periodend expiresat",
        "customer_id": CUSTOMER_ID,
        "plan": "plan planname planid product pricingplan subscriptionplan contract",
        "mrr": "mrr monthlyamount monthlyrecurringrevenue monthlycharges monthlyprice monthlyrevenue amount",
        "currency": CURRENCY,
    },
    "fx_rates": {
        "currency": "currency currencycode code isocode from fromcurrency",
        "on": "on date day ratedate asof effectivedate",
        "rate": "rate exchangerate fxrate value conversionrate",
    },
}
