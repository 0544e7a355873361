"""Exports of CRMs: Salesforce, HubSpot, Pipedrive, Zoho CRM and Dynamics 365."""

from analytics.datasets import layout

_CONTACTS = (
    "Deals name the account or company, not the contact. Import accounts or companies as customers where reports are to "
    "join deals with customers."
)

LAYOUTS = (
    layout.known(
        "Salesforce: Account object",
        "customers",
        "id ownerid createddate billingcity",
        "customer_id<id name<name company< phone<phone city<billingcity country<billingcountry "
        "segment<industry,type source<accountsource owner<ownerid created_at<createddate",
    ),
    layout.known(
        "Salesforce: Contact object",
        "customers",
        "id accountid lastname email",
        "customer_id<id name<name email<email phone<phone,mobilephone company<accountid city<mailingcity "
        "country<mailingcountry source<leadsource owner<ownerid created_at<createddate",
        advice="Opportunities name the account, not the contact. Import accounts as customers where reports are to "
        "join deals with customers.",
    ),
    layout.known(
        "Salesforce: Lead object",
        "leads",
        "id isconverted leadsource",
        "lead_id<id source<leadsource owner<ownerid created_at<createddate converted_at<converteddate "
        "customer_id<convertedaccountid",
    ),
    layout.known(
        "Salesforce: Opportunity object",
        "deals",
        "id name stagename closedate",
        "deal_id<id customer_id<accountid name<name pipeline<recordtypeid stage<stagename owner<ownerid "
        "source<leadsource amount<amount list_amount< currency<currencyisocode probability<probability "
        "created_at<createddate closed_at<closedate status<",
    ),
    layout.known(
        "Salesforce: OpportunityHistory object",
        "deal_stages",
        "opportunityid stagename createddate",
        "deal_id<opportunityid stage<stagename entered_at<createddate",
    ),
    layout.known(
        "Salesforce: OpportunityFieldHistory object",
        "deal_stages",
        "opportunityid field oldvalue newvalue createddate",
        "deal_id<opportunityid stage<newvalue entered_at<createddate",
        advice="The history has the changes of all tracked fields. Export it with the filter Field = StageName.",
    ),
    layout.known(
        "Salesforce: Task object",
        "activities",
        "id whoid whatid activitydate tasksubtype",
        "activity_id<id customer_id<accountid,whoid deal_id<whatid owner<ownerid kind<tasksubtype,type "
        "occurred_at<activitydate",
    ),
    layout.known(
        "Salesforce: Event object",
        "activities",
        "id whoid whatid activitydatetime",
        "activity_id<id customer_id<accountid,whoid deal_id<whatid owner<ownerid kind<eventsubtype,type "
        "occurred_at<activitydatetime,startdatetime",
    ),
    layout.known(
        "Salesforce: opportunity report",
        "deals",
        "opportunityid opportunityname stage closedate",
        "deal_id<opportunityid customer_id<accountid,accountname name<opportunityname stage<stage "
        "owner<opportunityowner source<leadsource amount<amount currency<amountcurrency,currency "
        "probability<probability created_at<createddate closed_at<closedate status<",
    ),
    layout.known(
        "Salesforce: opportunity history report",
        "deal_stages",
        "opportunityid tostage lastmodified",
        "deal_id<opportunityid stage<tostage entered_at<lastmodified",
    ),
    layout.known(
        "Salesforce: account report",
        "customers",
        "accountid accountname accountowner",
        "customer_id<accountid name<accountname company< phone<phone city<billingcity country<billingcountry "
        "segment<industry,type source<accountsource owner<accountowner created_at<createddate",
    ),
    layout.known(
        "Salesforce: contact report",
        "customers",
        "contactid lastname email",
        "customer_id<contactid name<fullname,name email<email phone<phone,mobile company<accountname "
        "city<mailingcity country<mailingcountry source<leadsource owner<contactowner created_at<createddate",
    ),
    layout.known(
        "Salesforce: lead report",
        "leads",
        "leadid leadsource leadstatus",
        "lead_id<leadid source<leadsource owner<leadowner created_at<createdate,createddate "
        "converted_at<converteddate customer_id<convertedaccountid,accountid",
    ),
    layout.known(
        "HubSpot: contacts",
        "customers",
        "recordid firstname lastname email",
        "customer_id<recordid name< email<email phone<phonenumber,mobilephonenumber "
        "company<companyname,associatedcompany city<city country<countryregion,country segment<lifecyclestage "
        "source<originaltrafficsource,originalsource owner<contactowner created_at<createdate",
    ),
    layout.known(
        "HubSpot: companies",
        "customers",
        "recordid companyname companyowner",
        "customer_id<recordid name<companyname company< phone<phonenumber city<city "
        "country<countryregion,country segment<industry "
        "source<originaltrafficsource,originalsourcetype,originalsource owner<companyowner "
        "created_at<createdate",
    ),
    layout.known(
        "HubSpot: deals",
        "deals",
        "recordid dealname dealstage",
        "deal_id<recordid "
        "customer_id<associatedcompanyidsprimary,primaryassociatedcompanyid,associatedcompanyids,associatedcompany "
        "name<dealname pipeline<pipeline stage<dealstage owner<dealowner team<hubspotteam "
        "source<originaltrafficsource,originalsource,originalsourcetype amount<amount currency<currency "
        "probability<dealprobability created_at<createdate closed_at<closedate status< "
        "lost_reason<closedlostreason",
    ),
    layout.known(
        "Pipedrive: deals",
        "deals",
        "dealtitle dealstage",
        "deal_id<dealid "
        "customer_id<dealorganizationid,organizationid,dealorganization,organizationname,dealcontactperson "
        "name<dealtitle pipeline<dealpipeline stage<dealstage owner<dealowner "
        "source<dealsourcechannel,dealsourceorigin,dealsource amount<dealvalue "
        "currency<dealcurrencyofvalue,dealcurrency probability<dealprobability "
        "created_at<dealdealcreated,dealcreated expected_close_on<dealexpectedclosedate "
        "closed_at<dealdealclosedon,dealclosedon,dealclosetime,dealwontime status<dealstatus "
        "lost_reason<deallostreason",
    ),
    layout.known(
        "Pipedrive: organizations",
        "customers",
        "organizationid organizationname",
        "customer_id<organizationid name<organizationname company< "
        "country<organizationaddresscountry,organizationcountryofaddress "
        "city<organizationaddresscity,organizationcitytownvillagelocalityofaddress "
        "segment<organizationlabel,organizationlabels,organizationindustry owner<organizationowner "
        "created_at<organizationorganizationcreated,organizationcreated",
    ),
    layout.known(
        "Pipedrive: people",
        "customers",
        "personid personname",
        "customer_id<personid name<personname email<personemailwork,personemail,personemailhome "
        "phone<personphonework,personphone,personphonemobile company<personorganization,organizationname "
        "segment<personlabel,personlabels owner<personowner created_at<personpersoncreated,personcreated",
    ),
    layout.known(
        "Pipedrive: activities",
        "activities",
        "activityid activitysubject",
        "activity_id<activityid customer_id<activityorganizationid,activityorganization,activitycontactperson "
        "deal_id<activitydealid,dealid,activitydeal owner<activityassignedtouser,activityowner "
        "kind<activitytype occurred_at<activitymarkedasdonetime,activityduedate",
    ),
    layout.known(
        "Zoho CRM: Deals",
        "deals",
        "recordid dealname stage closingdate",
        "deal_id<recordid customer_id<accountnameid,accountname,contactnameid,contactname name<dealname "
        "pipeline<pipeline stage<stage owner<dealowner source<leadsource amount<amount currency<currency "
        "probability<probability created_at<createdtime closed_at<closingdate status< "
        "lost_reason<reasonforloss",
    ),
    layout.known(
        "Zoho CRM: Accounts",
        "customers",
        "recordid accountname accountowner",
        "customer_id<recordid name<accountname company< phone<phone city<billingcity country<billingcountry "
        "segment<industry,accounttype owner<accountowner created_at<createdtime",
    ),
    layout.known(
        "Zoho CRM: Contacts",
        "customers",
        "recordid lastname contactowner accountname email",
        "customer_id<recordid name<fullname,contactname email<email phone<phone,mobile company<accountname "
        "city<mailingcity country<mailingcountry source<leadsource owner<contactowner created_at<createdtime",
    ),
    layout.known(
        "Zoho CRM: Leads",
        "leads",
        "recordid leadowner leadsource leadstatus lastname",
        "lead_id<recordid source<leadsource owner<leadowner created_at<createdtime "
        "converted_at<converteddatetime,convertedtime customer_id<convertedaccountid,convertedaccount",
    ),
    layout.known(
        "Dynamics 365: accounts",
        "customers",
        "donotmodifyaccount donotmodifyrowchecksum",
        "customer_id<donotmodifyaccount name<accountname company< email<email,emailaddress phone<mainphone "
        "city<address1city country<address1countryregion segment<industry owner<owner created_at<createdon",
    ),
    layout.known(
        "Dynamics 365: contacts",
        "customers",
        "donotmodifycontact donotmodifyrowchecksum",
        "customer_id<donotmodifycontact name<fullname email<email phone<businessphone,mobilephone "
        "company<companyname,account city<address1city country<address1countryregion owner<owner "
        "created_at<createdon",
        advice=_CONTACTS,
    ),
    layout.known(
        "Dynamics 365: leads",
        "leads",
        "donotmodifylead donotmodifyrowchecksum",
        "lead_id<donotmodifylead source<leadsource owner<owner created_at<createdon converted_at<qualifiedon "
        "campaign<sourcecampaign customer_id<",
    ),
    layout.known(
        "Dynamics 365: opportunities",
        "deals",
        "donotmodifyopportunity donotmodifyrowchecksum",
        "deal_id<donotmodifyopportunity customer_id<account,potentialcustomer name<topic,name "
        "stage<pipelinephase,salesstage status<status owner<owner amount<estrevenue,actualrevenue "
        "currency<currency probability<probability created_at<createdon expected_close_on<estclosedate "
        "closed_at<actualclosedate lost_reason<statusreason list_amount<",
    ),
)
