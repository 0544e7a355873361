"""Header rows of exports, as the systems write them, with the dataset they belong to and the header of each column.

docs/importing.md names where the headers were found. The rows are made up; what they say fits the headers.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Export:
    """One export.

    Attributes:
        layout: the title under which it is known.
        headers: its first line, as CSV.
        columns: `canonical=header`, separated by semicolons: every canonical column that the file has, and no other.
        row: values of a row by header, where they matter; other cells are empty.
    """

    layout: str
    dataset: str
    headers: str
    columns: str
    row: str = ""

    @property
    def mapping(self) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in self.columns.split(";"))
        return {name.strip(): header.strip() for name, _, header in pairs}

    @property
    def names(self) -> list[str]:
        return [header.strip() for header in self.headers.split(",")]

    @property
    def values(self) -> dict[str, str]:
        pairs = (pair.partition("=") for pair in self.row.split(";") if pair.strip())
        return {name.strip(): value.strip() for name, _, value in pairs}


EXPORTS = (
    Export(
        "Salesforce: Account object",
        "customers",
        "Id,IsDeleted,MasterRecordId,Name,Type,ParentId,BillingStreet,BillingCity,BillingState,BillingPostalCode,BillingCountry,"
        "Phone,Fax,AccountNumber,Website,Industry,AnnualRevenue,NumberOfEmployees,Ownership,Description,Rating,OwnerId,"
        "CreatedDate,CreatedById,LastModifiedDate,LastModifiedById,SystemModstamp,LastActivityDate,AccountSource",
        "customer_id=Id;name=Name;phone=Phone;city=BillingCity;country=BillingCountry;segment=Industry;source=AccountSource;"
        "owner=OwnerId;created_at=CreatedDate",
        "Id=0015g00000A1B2CAAV;Name=Acme;CreatedDate=2024-01-02T03:04:05.000Z",
    ),
    Export(
        "Salesforce: Contact object",
        "customers",
        "Id,IsDeleted,MasterRecordId,AccountId,LastName,FirstName,Salutation,Name,MailingStreet,MailingCity,MailingState,"
        "MailingPostalCode,MailingCountry,Phone,Fax,MobilePhone,Email,Title,Department,LeadSource,OwnerId,CreatedDate",
        "customer_id=Id;name=Name;email=Email;phone=Phone;company=AccountId;city=MailingCity;country=MailingCountry;"
        "source=LeadSource;owner=OwnerId;created_at=CreatedDate",
        "Id=0035g00000A1B2CAAV;LastName=Doe;Email=j@example.com;CreatedDate=2024-01-02T03:04:05.000Z",
    ),
    Export(
        "Salesforce: Lead object",
        "leads",
        "Id,IsDeleted,LastName,FirstName,Name,Title,Company,City,State,Country,Phone,Email,LeadSource,Status,Industry,Rating,"
        "OwnerId,IsConverted,ConvertedDate,ConvertedAccountId,ConvertedContactId,ConvertedOpportunityId,CreatedDate",
        "lead_id=Id;source=LeadSource;owner=OwnerId;created_at=CreatedDate;converted_at=ConvertedDate;"
        "customer_id=ConvertedAccountId",
        "Id=00Q5g00000A1B2CAAV;LeadSource=Web;IsConverted=true;ConvertedDate=2024-02-03;CreatedDate=2024-01-02T03:04:05.000Z",
    ),
    Export(
        "Salesforce: Opportunity object",
        "deals",
        "Id,IsDeleted,AccountId,RecordTypeId,Name,Description,StageName,Amount,Probability,ExpectedRevenue,"
        "TotalOpportunityQuantity,CloseDate,Type,NextStep,LeadSource,IsClosed,IsWon,ForecastCategory,ForecastCategoryName,"
        "CurrencyIsoCode,CampaignId,HasOpportunityLineItem,Pricebook2Id,OwnerId,CreatedDate,CreatedById,LastModifiedDate",
        "deal_id=Id;customer_id=AccountId;name=Name;pipeline=RecordTypeId;stage=StageName;owner=OwnerId;source=LeadSource;"
        "amount=Amount;currency=CurrencyIsoCode;probability=Probability;created_at=CreatedDate;closed_at=CloseDate",
        "Id=0065g00000A1B2CAAV;StageName=Closed Won;Amount=1000.0;Probability=100.0;CurrencyIsoCode=EUR;CloseDate=2024-05-06;"
        "CreatedDate=2024-01-02T03:04:05.000Z",
    ),
    Export(
        "Salesforce: OpportunityHistory object",
        "deal_stages",
        "Id,OpportunityId,CreatedById,CreatedDate,StageName,Amount,ExpectedRevenue,CloseDate,Probability,ForecastCategory,"
        "SystemModstamp,IsDeleted",
        "deal_id=OpportunityId;stage=StageName;entered_at=CreatedDate",
        "Id=0085g00000A1B2CAAV;OpportunityId=0065g00000A1B2CAAV;StageName=Negotiation;CreatedDate=2024-01-02T03:04:05.000Z;"
        "CloseDate=2024-05-06",
    ),
    Export(
        "Salesforce: OpportunityFieldHistory object",
        "deal_stages",
        "Id,IsDeleted,OpportunityId,CreatedById,CreatedDate,Field,DataType,OldValue,NewValue",
        "deal_id=OpportunityId;stage=NewValue;entered_at=CreatedDate",
        "Id=0175g;OpportunityId=0065g;CreatedDate=2024-01-02T03:04:05.000Z;Field=StageName;NewValue=Closed Won",
    ),
    Export(
        "Salesforce: Task object",
        "activities",
        "Id,WhoId,WhatId,Subject,ActivityDate,Status,Priority,IsHighPriority,OwnerId,Description,IsDeleted,AccountId,IsClosed,"
        "CreatedDate,CallType,CallDurationInSeconds,TaskSubtype",
        "activity_id=Id;customer_id=AccountId;deal_id=WhatId;owner=OwnerId;kind=TaskSubtype;occurred_at=ActivityDate",
        "Id=00T5g;WhatId=0065g;TaskSubtype=Call;ActivityDate=2024-01-02",
    ),
    Export(
        "Salesforce: Event object",
        "activities",
        "Id,WhoId,WhatId,Subject,Location,IsAllDayEvent,ActivityDateTime,ActivityDate,DurationInMinutes,StartDateTime,"
        "EndDateTime,Description,AccountId,OwnerId,IsDeleted,CreatedDate,EventSubtype",
        "activity_id=Id;customer_id=AccountId;deal_id=WhatId;owner=OwnerId;kind=EventSubtype;occurred_at=ActivityDateTime",
        "Id=00U5g;WhatId=0065g;EventSubtype=Event;ActivityDateTime=2024-01-02T03:04:05.000Z",
    ),
    Export(
        "Salesforce: opportunity report",
        "deals",
        "Opportunity Owner,Account Name,Opportunity Name,Stage,Fiscal Period,Amount Currency,Amount,Probability (%),Age,"
        "Close Date,Created Date,Next Step,Lead Source,Type,Opportunity ID,Account ID",
        "deal_id=Opportunity ID;customer_id=Account ID;name=Opportunity Name;stage=Stage;owner=Opportunity Owner;"
        "source=Lead Source;amount=Amount;currency=Amount Currency;probability=Probability (%);created_at=Created Date;"
        "closed_at=Close Date",
        "Opportunity ID=0065g;Stage=Closed Won;Amount=1000;Amount Currency=EUR;Probability (%)=100;Close Date=2024-05-06;"
        "Created Date=2024-01-02",
    ),
    Export(
        "Salesforce: opportunity history report",
        "deal_stages",
        "Opportunity Name,Opportunity ID,From Stage,To Stage,Amount,Close Date,Last Modified,Last Modified By",
        "deal_id=Opportunity ID;stage=To Stage;entered_at=Last Modified",
        "Opportunity ID=0065g;To Stage=Closed Won;Last Modified=2024-05-06 10:11;Close Date=2024-05-06",
    ),
    Export(
        "Salesforce: account report",
        "customers",
        "Account Owner,Account Name,Account ID,Type,Rating,Last Activity,Billing City,Billing Country,Industry,Phone,Created Date",
        "customer_id=Account ID;name=Account Name;phone=Phone;city=Billing City;country=Billing Country;segment=Industry;"
        "owner=Account Owner;created_at=Created Date",
        "Account ID=0015g;Account Name=Acme;Created Date=2024-01-02",
    ),
    Export(
        "Salesforce: contact report",
        "customers",
        "Salutation,First Name,Last Name,Title,Account Name,Mailing City,Mailing Country,Phone,Mobile,Email,Contact Owner,"
        "Contact ID,Lead Source,Created Date",
        "customer_id=Contact ID;email=Email;phone=Phone;company=Account Name;city=Mailing City;country=Mailing Country;"
        "source=Lead Source;owner=Contact Owner;created_at=Created Date",
        "Contact ID=0035g;Last Name=Doe;Email=j@example.com;Created Date=2024-01-02",
    ),
    Export(
        "Salesforce: lead report",
        "leads",
        "Lead Owner,First Name,Last Name,Title,Company / Account,Email,Lead Source,Lead Status,Rating,Create Date,Lead ID,"
        "Converted,Converted Date",
        "lead_id=Lead ID;source=Lead Source;owner=Lead Owner;created_at=Create Date;converted_at=Converted Date",
        "Lead ID=00Q5g;Lead Source=Web;Create Date=2024-01-02;Converted Date=2024-02-03",
    ),
    Export(
        "HubSpot: contacts",
        "customers",
        "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Last Activity Date,Lead Status,Marketing contact status,"
        "Create Date,Associated Company IDs,Associated Company,Country/Region,City,Lifecycle Stage,Original Source",
        "customer_id=Record ID;email=Email;phone=Phone Number;company=Associated Company;city=City;country=Country/Region;"
        "segment=Lifecycle Stage;source=Original Source;owner=Contact owner;created_at=Create Date",
        "Record ID=901;Email=j@example.com;Create Date=2024-03-12 09:14",
    ),
    Export(
        "HubSpot: companies",
        "customers",
        "Record ID,Company name,Company owner,Create Date,Phone Number,Last Activity Date,City,Country/Region,Industry,"
        "Company Domain Name,Associated Contact IDs",
        "customer_id=Record ID;name=Company name;phone=Phone Number;city=City;country=Country/Region;segment=Industry;"
        "owner=Company owner;created_at=Create Date",
        "Record ID=9001;Company name=Acme;Create Date=2024-02-01 09:30",
    ),
    Export(
        "HubSpot: deals",
        "deals",
        "Record ID,Deal Name,Deal Stage,Close Date,Deal owner,Amount,Pipeline,Create Date,Deal probability,Currency,"
        "Closed Lost Reason,Original Traffic Source,HubSpot Team,Associated Company IDs (Primary),Associated Company IDs,"
        "Associated Company,Associated Contact IDs",
        "deal_id=Record ID;customer_id=Associated Company IDs (Primary);name=Deal Name;pipeline=Pipeline;stage=Deal Stage;"
        "owner=Deal owner;team=HubSpot Team;source=Original Traffic Source;amount=Amount;currency=Currency;"
        "probability=Deal probability;created_at=Create Date;closed_at=Close Date;lost_reason=Closed Lost Reason",
        "Record ID=7001;Deal Stage=Closed Won;Amount=15000;Deal probability=1.0;Currency=USD;Close Date=2024-05-06 08:00;"
        "Create Date=2024-01-02 08:00",
    ),
    Export(
        "Pipedrive: deals",
        "deals",
        "Deal - ID,Deal - Title,Deal - Creator,Deal - Owner,Deal - Value,Deal - Currency of Value,Deal - Weighted value,"
        "Deal - Probability,Deal - Organization,Deal - Pipeline,Deal - Contact person,Deal - Stage,Deal - Label,Deal - Status,"
        "Deal - Deal created,Deal - Update time,Deal - Won time,Deal - Lost time,Deal - Deal closed on,Deal - Lost reason,"
        "Deal - Expected close date,Deal - Source channel",
        "deal_id=Deal - ID;customer_id=Deal - Organization;name=Deal - Title;pipeline=Deal - Pipeline;stage=Deal - Stage;"
        "owner=Deal - Owner;source=Deal - Source channel;amount=Deal - Value;currency=Deal - Currency of Value;"
        "probability=Deal - Probability;created_at=Deal - Deal created;expected_close_on=Deal - Expected close date;"
        "closed_at=Deal - Deal closed on;status=Deal - Status;lost_reason=Deal - Lost reason",
        "Deal - ID=17;Deal - Stage=Proposal;Deal - Status=Won;Deal - Value=100;Deal - Currency of Value=EUR;Deal - Probability=50;"
        "Deal - Deal created=2024-01-02 10:11:12;Deal - Deal closed on=2024-02-03 10:11:12;"
        "Deal - Expected close date=2024-02-01",
    ),
    Export(
        "Pipedrive: organizations",
        "customers",
        "Organization - ID,Organization - Name,Organization - Label,Organization - Address,Organization - Owner,"
        "Organization - Organization created,Organization - Country of Address",
        "customer_id=Organization - ID;name=Organization - Name;segment=Organization - Label;owner=Organization - Owner;"
        "created_at=Organization - Organization created;country=Organization - Country of Address",
        "Organization - ID=3;Organization - Name=Acme;Organization - Organization created=2024-01-02 10:11:12",
    ),
    Export(
        "Pipedrive: people",
        "customers",
        "Person - ID,Person - Name,Person - Label,Person - Phone - Work,Person - Email - Work,Person - Organization,"
        "Person - Owner,Person - Person created",
        "customer_id=Person - ID;name=Person - Name;segment=Person - Label;phone=Person - Phone - Work;"
        "email=Person - Email - Work;company=Person - Organization;owner=Person - Owner;created_at=Person - Person created",
        "Person - ID=4;Person - Name=Jane Doe;Person - Email - Work=j@example.com;Person - Person created=2024-01-02 10:11:12",
    ),
    Export(
        "Pipedrive: activities",
        "activities",
        "Activity - ID,Activity - Subject,Activity - Type,Activity - Due date,Activity - Due time,Activity - Assigned to user,"
        "Activity - Deal,Activity - Deal ID,Activity - Contact person,Activity - Organization,Activity - Marked as done time",
        "activity_id=Activity - ID;customer_id=Activity - Organization;deal_id=Activity - Deal ID;"
        "owner=Activity - Assigned to user;kind=Activity - Type;occurred_at=Activity - Marked as done time",
        "Activity - ID=5;Activity - Type=call;Activity - Marked as done time=2024-01-02 10:11:12;Activity - Due date=2024-01-02",
    ),
    Export(
        "Zoho CRM: Deals",
        "deals",
        "Record Id,Deal Owner.id,Deal Owner,Amount,Deal Name,Closing Date,Account Name.id,Account Name,Stage,Type,Probability,"
        "Expected Revenue,Next Step,Lead Source,Campaign Source,Contact Name.id,Contact Name,Created Time,Modified Time,"
        "Reason For Loss,Pipeline,Currency",
        "deal_id=Record Id;customer_id=Account Name.id;name=Deal Name;pipeline=Pipeline;stage=Stage;owner=Deal Owner;"
        "source=Lead Source;amount=Amount;currency=Currency;probability=Probability;created_at=Created Time;"
        "closed_at=Closing Date;lost_reason=Reason For Loss",
        "Record Id=zcrm_1;Stage=Closed Won;Amount=10;Probability=100;Currency=INR;Closing Date=2024-05-06;"
        "Created Time=2024-01-02 10:11:12",
    ),
    Export(
        "Zoho CRM: Accounts",
        "customers",
        "Record Id,Account Owner.id,Account Owner,Account Name,Phone,Website,Account Type,Industry,Employees,Billing Street,"
        "Billing City,Billing State,Billing Code,Billing Country,Created Time",
        "customer_id=Record Id;name=Account Name;phone=Phone;city=Billing City;country=Billing Country;segment=Industry;"
        "owner=Account Owner;created_at=Created Time",
        "Record Id=zcrm_2;Account Name=Acme;Created Time=2024-01-02 10:11:12",
    ),
    Export(
        "Zoho CRM: Contacts",
        "customers",
        "Record Id,Contact Owner.id,Contact Owner,Lead Source,First Name,Last Name,Full Name,Account Name.id,Account Name,Email,"
        "Phone,Mobile,Mailing City,Mailing Country,Created Time",
        "customer_id=Record Id;name=Full Name;email=Email;phone=Phone;company=Account Name;city=Mailing City;"
        "country=Mailing Country;source=Lead Source;owner=Contact Owner;created_at=Created Time",
        "Record Id=zcrm_3;Last Name=Doe;Email=j@example.com;Created Time=2024-01-02 10:11:12",
    ),
    Export(
        "Zoho CRM: Leads",
        "leads",
        "Record Id,Lead Owner.id,Lead Owner,Company,First Name,Last Name,Email,Phone,Lead Source,Lead Status,Industry,"
        "Created Time,Converted Date Time,Converted Account.id,Converted Account",
        "lead_id=Record Id;source=Lead Source;owner=Lead Owner;created_at=Created Time;converted_at=Converted Date Time;"
        "customer_id=Converted Account.id",
        "Record Id=zcrm_4;Lead Source=Web;Created Time=2024-01-02 10:11:12;Converted Date Time=2024-02-03 10:11:12",
    ),
    Export(
        "Dynamics 365: accounts",
        "customers",
        "(Do Not Modify) Account,(Do Not Modify) Row Checksum,(Do Not Modify) Modified On,Account Name,Main Phone,Address 1: City,"
        "Primary Contact,Email,Status,Industry,Owner,Created On",
        "customer_id=(Do Not Modify) Account;name=Account Name;email=Email;phone=Main Phone;city=Address 1: City;"
        "segment=Industry;owner=Owner;created_at=Created On",
        "(Do Not Modify) Account=83883308;Account Name=Acme;Email=a@example.com;Created On=2024-01-02 10:11",
    ),
    Export(
        "Dynamics 365: contacts",
        "customers",
        "(Do Not Modify) Contact,(Do Not Modify) Row Checksum,(Do Not Modify) Modified On,Full Name,Email,Company Name,"
        "Business Phone,Status,Owner,Created On",
        "customer_id=(Do Not Modify) Contact;name=Full Name;email=Email;company=Company Name;phone=Business Phone;owner=Owner;"
        "created_at=Created On",
        "(Do Not Modify) Contact=465b158c;Full Name=Jane Doe;Email=j@example.com;Created On=2024-01-02 10:11",
    ),
    Export(
        "Dynamics 365: leads",
        "leads",
        "(Do Not Modify) Lead,(Do Not Modify) Row Checksum,(Do Not Modify) Modified On,Name,Topic,Status Reason,Created On,"
        "Lead Source,Source Campaign,Owner",
        "lead_id=(Do Not Modify) Lead;source=Lead Source;campaign=Source Campaign;owner=Owner;created_at=Created On",
        "(Do Not Modify) Lead=90b03cbe;Lead Source=Web;Created On=2024-01-02 10:11",
    ),
    Export(
        "Dynamics 365: opportunities",
        "deals",
        "(Do Not Modify) Opportunity,(Do Not Modify) Row Checksum,(Do Not Modify) Modified On,Topic,Potential Customer,Account,"
        "Pipeline Phase,Status,Status Reason,Est. Close Date,Actual Close Date,Est. Revenue,Probability,Rating,Currency,Owner,"
        "Created On",
        "deal_id=(Do Not Modify) Opportunity;customer_id=Account;name=Topic;stage=Pipeline Phase;status=Status;"
        "lost_reason=Status Reason;expected_close_on=Est. Close Date;closed_at=Actual Close Date;amount=Est. Revenue;"
        "probability=Probability;currency=Currency;owner=Owner;created_at=Created On",
        "(Do Not Modify) Opportunity=3a0e;Pipeline Phase=Propose;Status=Won;Est. Close Date=2024-05-06;Est. Revenue=100;"
        "Actual Close Date=2024-05-06;Probability=60;Currency=USD;Created On=2024-01-02 10:11",
    ),
)
