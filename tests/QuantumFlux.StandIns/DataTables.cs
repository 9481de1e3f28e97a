// Signatures of Azure.Data.Tables 12.11.0, from its published listing of the public API. The package is compiled without nullable annotations.
#nullable disable
using System.Collections;
using System.Linq.Expressions;
using Azure.Core;
using Azure.Data.Tables.Models;

namespace Azure.Data.Tables
{
    public interface ITableEntity
    {
        ETag ETag { get; set; }

        string PartitionKey { get; set; }

        string RowKey { get; set; }

        DateTimeOffset? Timestamp { get; set; }
    }

    public class TableClient
    {
        protected TableClient()
        {
        }

        public virtual Task<Response> AddEntityAsync<T>(T entity, CancellationToken cancellationToken = default)
            where T : ITableEntity => throw null;

        public virtual Task<Response<TableItem>> CreateIfNotExistsAsync(CancellationToken cancellationToken = default) => throw null;

        // The real one quotes and escapes the interpolated values. Texts are all that we interpolate.
        public static string CreateQueryFilter(FormattableString filter) => throw null;

        public static string CreateQueryFilter<T>(Expression<Func<T, bool>> filter) => throw null;

        public virtual Task<Response> DeleteEntityAsync(ITableEntity entity, ETag ifMatch = default, CancellationToken cancellationToken = default) => throw null;

        public virtual Task<Response> DeleteEntityAsync(
            string partitionKey, string rowKey, ETag ifMatch = default, CancellationToken cancellationToken = default) => throw null;

        public virtual Task<NullableResponse<T>> GetEntityIfExistsAsync<T>(
            string partitionKey, string rowKey, IEnumerable<string> select = null, CancellationToken cancellationToken = default)
            where T : class, ITableEntity => throw null;

        public virtual AsyncPageable<T> QueryAsync<T>(
            Expression<Func<T, bool>> filter, int? maxPerPage = null, IEnumerable<string> select = null, CancellationToken cancellationToken = default)
            where T : class, ITableEntity => throw null;

        public virtual AsyncPageable<T> QueryAsync<T>(
            string filter = null, int? maxPerPage = null, IEnumerable<string> select = null, CancellationToken cancellationToken = default)
            where T : class, ITableEntity => throw null;

        public virtual Task<Response<IReadOnlyList<Response>>> SubmitTransactionAsync(
            IEnumerable<TableTransactionAction> transactionActions, CancellationToken cancellationToken = default) => throw null;

        public virtual Task<Response> UpdateEntityAsync<T>(
            T entity, ETag ifMatch, TableUpdateMode mode = TableUpdateMode.Merge, CancellationToken cancellationToken = default)
            where T : ITableEntity => throw null;

        public virtual Task<Response> UpsertEntityAsync<T>(
            T entity, TableUpdateMode mode = TableUpdateMode.Merge, CancellationToken cancellationToken = default)
            where T : ITableEntity => throw null;
    }

    public class TableClientOptions : ClientOptions
    {
        public TableClientOptions(ServiceVersion serviceVersion = ServiceVersion.V2020_12_06)
        {
        }

        public enum ServiceVersion
        {
            V2019_02_02 = 1,
            V2020_12_06 = 2,
        }
    }

    public sealed class TableEntity : ITableEntity, IDictionary<string, object>
    {
        public TableEntity() => throw null;

        public TableEntity(IDictionary<string, object> values) => throw null;

        public TableEntity(string partitionKey, string rowKey) => throw null;

        public int Count => throw null;

        public ETag ETag { get => throw null; set => throw null; }

        public object this[string key] { get => throw null; set => throw null; }

        public ICollection<string> Keys => throw null;

        public string PartitionKey { get => throw null; set => throw null; }

        public string RowKey { get => throw null; set => throw null; }

        bool ICollection<KeyValuePair<string, object>>.IsReadOnly => throw null;

        ICollection<object> IDictionary<string, object>.Values => throw null;

        public DateTimeOffset? Timestamp { get => throw null; set => throw null; }

        public void Add(string key, object value) => throw null;

        public void Clear() => throw null;

        public bool ContainsKey(string key) => throw null;

        public string GetString(string key) => throw null;

        public bool Remove(string key) => throw null;

        void ICollection<KeyValuePair<string, object>>.Add(KeyValuePair<string, object> item) => throw null;

        bool ICollection<KeyValuePair<string, object>>.Contains(KeyValuePair<string, object> item) => throw null;

        void ICollection<KeyValuePair<string, object>>.CopyTo(KeyValuePair<string, object>[] array, int arrayIndex) => throw null;

        bool ICollection<KeyValuePair<string, object>>.Remove(KeyValuePair<string, object> item) => throw null;

        IEnumerator<KeyValuePair<string, object>> IEnumerable<KeyValuePair<string, object>>.GetEnumerator() => throw null;

        IEnumerator IEnumerable.GetEnumerator() => throw null;

        public bool TryGetValue(string key, out object value) => throw null;
    }

    public class TableServiceClient
    {
        protected TableServiceClient()
        {
        }

        public TableServiceClient(Uri endpoint, TokenCredential tokenCredential, TableClientOptions options = null) => throw null;

        public TableServiceClient(Uri endpoint, TableSharedKeyCredential credential) => throw null;

        public TableServiceClient(Uri endpoint, TableSharedKeyCredential credential, TableClientOptions options) => throw null;

        public virtual TableClient GetTableClient(string tableName) => throw null;
    }

    public class TableSharedKeyCredential
    {
        public TableSharedKeyCredential(string accountName, string accountKey) => throw null;
    }

    public class TableTransactionAction
    {
        public TableTransactionAction(TableTransactionActionType actionType, ITableEntity entity) => throw null;

        public TableTransactionAction(TableTransactionActionType actionType, ITableEntity entity, ETag etag = default) => throw null;
    }

    public enum TableTransactionActionType
    {
        Add = 0,
        UpdateMerge = 1,
        UpdateReplace = 2,
        Delete = 3,
        UpsertMerge = 4,
        UpsertReplace = 5,
    }

    public class TableTransactionFailedException : RequestFailedException
    {
        public TableTransactionFailedException(RequestFailedException requestFailedException)
            : base(default(string)) => throw null;

        public int? FailedTransactionActionIndex => throw null;
    }

    public enum TableUpdateMode
    {
        Merge = 0,
        Replace = 1,
    }
}

namespace Azure.Data.Tables.Models
{
    public class TableItem
    {
        internal TableItem()
        {
        }
    }
}
